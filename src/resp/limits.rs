//! What a client may send at most.

/// The limits of one command. Beyond them the client is told so and the connection closes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RespLimits {
    /// Arguments of a command, its name included.
    pub arguments_max: u32,
    /// Bytes of one argument: of a key, of a value.
    pub argument_bytes_max: u32,
    /// Bytes of a command that is a line.
    pub inline_bytes_max: u32,
    /// Bytes of a whole command with everything that frames it.
    pub command_bytes_max: u32,
}

impl Default for RespLimits {
    fn default() -> RespLimits {
        RespLimits {
            arguments_max: 16 * 1024,
            argument_bytes_max: 1024 * 1024,
            inline_bytes_max: 64 * 1024,
            command_bytes_max: 4 * 1024 * 1024,
        }
    }
}
