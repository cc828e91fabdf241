//! Why a cluster could not be opened.

use std::error;
use std::fmt;
use std::io;

/// Why [`RedisCluster::open`](super::RedisCluster::open) failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClusterError {
    /// This is not `HOST:PORT`, or there is no address at all.
    Address(String),
    /// This option cannot be used as it is.
    Option(&'static str),
    /// No node answered; this is what the last one did.
    Unreachable {
        /// Its address.
        node: String,
        /// What was asked of it.
        operation: &'static str,
        /// What went wrong.
        source: io::Error,
    },
}

impl fmt::Display for ClusterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClusterError::Address(text) => write!(f, "{text:?} is no HOST:PORT of a cluster node"),
            ClusterError::Option(what) => f.write_str(what),
            ClusterError::Unreachable {
                node,
                operation,
                source,
            } => write!(f, "{operation} of {node}: {source}"),
        }
    }
}

impl error::Error for ClusterError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            ClusterError::Unreachable { source, .. } => Some(source),
            _ => None,
        }
    }
}
