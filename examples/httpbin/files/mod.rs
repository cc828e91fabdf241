//! Files out of one folder: `GET` and `HEAD` of `/files/...`.
//!
//! Nothing outside of the folder is reachable (see [`root`]). A file is sent in pieces as the client
//! takes them, so one of any size needs 16 KiB. Conditional requests and single ranges are
//! answered as RFC 9110 says; a folder is answered by its `index.html`, and nothing is listed. What is
//! neither file nor folder (a pipe, a device) is not found, and so are hidden files.
//!
//! Reading a file that is not in the page cache makes the loop wait for the disk, as it does in other
//! servers of one thread; for slow disks there are worker threads.

mod conditions;
mod kind;
pub mod range;
pub mod root;

use std::borrow::Cow;
use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rustix::io::Errno;
use trine::Response;
use trine::http::{Method, Request, Status};
use trine::service::{Exchange, Flow};

use conditions::{Validators, Verdict};
use range::{Part, part};
use root::Root;

/// Where the files are in the paths of requests.
const PREFIX: &str = "files";
const INDEX: &[u8] = b"index.html";
/// In bytes: read and written at one time.
const PIECE: usize = 16 * 1024;
/// What may stand in a segment as it is (RFC 3986, 3.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The files. Clones are of the same folder.
#[derive(Clone)]
pub struct Files {
    root: Arc<Root>,
}

/// One file, or why there is none, on its way to a client.
pub struct Sending {
    head: Response,
    /// `None` if the head is the whole answer.
    content: Option<Content>,
}

struct Content {
    file: File,
    left: Range<u64>,
}

impl Files {
    /// Those in the folder at `path`.
    ///
    /// # Errors
    ///
    /// When it is no folder, or must not be opened.
    pub fn new(path: &Path) -> io::Result<Files> {
        let root = Arc::new(Root::new(path)?);
        Ok(Files { root })
    }

    /// What to answer `request` with, whose path begins with `/files`.
    pub fn answer(&self, request: &Request<'_>) -> Sending {
        if !matches!(request.method(), Method::Get | Method::Head) {
            let refusal = refusal(Status::METHOD_NOT_ALLOWED);
            return Sending::whole(with(refusal, "Allow", "GET, HEAD"));
        }
        let segments: Result<Vec<_>, _> = request.path_segments().skip(1).collect();
        match segments {
            Ok(segments) => {
                let found = self.find(request, segments);
                found.unwrap_or_else(|error| Sending::whole(refusal(status_of(error))))
            }
            Err(_) => Sending::whole(refusal(Status::BAD_REQUEST)),
        }
    }

    fn find(&self, request: &Request<'_>, mut names: Vec<Cow<'_, [u8]>>) -> Result<Sending, Errno> {
        let wants_folder = names.last().is_some_and(|last| last.is_empty());
        if wants_folder {
            names.pop();
        }
        let (file, metadata) = self.look(&names)?;
        if metadata.is_dir() && !wants_folder {
            return Ok(Sending::whole(redirect(&names, request.query())));
        }
        if wants_folder {
            names.push(INDEX.into());
            let (file, metadata) = self.look(&names)?;
            return Sending::of(file, &metadata, INDEX, request);
        }
        let name = names.last().map_or(&[][..], |name| name);
        Sending::of(file, &metadata, name, request)
    }

    fn look(&self, names: &[Cow<'_, [u8]>]) -> Result<(File, Metadata), Errno> {
        let file = self.root.open(names)?;
        let metadata = file.metadata().map_err(|_| Errno::IO)?;
        Ok((file, metadata))
    }
}

impl Sending {
    fn whole(head: Response) -> Sending {
        let content = None;
        Sending { head, content }
    }

    fn of(
        file: File,
        metadata: &Metadata,
        name: &[u8],
        request: &Request<'_>,
    ) -> Result<Sending, Errno> {
        if !metadata.is_file() {
            return Err(Errno::NOENT);
        }
        let validators = Validators::new(metadata, SystemTime::now());
        let len = metadata.len();
        let may_be_part = match validators.judge(request) {
            Verdict::Failed => return Ok(Sending::whole(refusal(Status::PRECONDITION_FAILED))),
            Verdict::NotModified => {
                let head = Response::new(Status::NOT_MODIFIED);
                return Ok(Sending::whole(with_validators(head, &validators)));
            }
            Verdict::Send { may_be_part } => may_be_part && request.method() == Method::Get,
        };
        let field = request.field("Range").filter(|_| may_be_part);
        let head = with_validators(Response::bytes(""), &validators);
        let head = with(head, "Accept-Ranges", "bytes");
        let head = with(head, "Content-Type", kind::content_type(name));
        let head = with(head, "X-Content-Type-Options", "nosniff");
        let (head, left) = match field.map_or(Part::All, |field| part(field, len)) {
            Part::All => (head, 0..len),
            Part::Bytes(bytes) => {
                let text = format!("bytes {}-{}/{len}", bytes.start, bytes.end - 1);
                let head = head.with_status(Status::PARTIAL_CONTENT);
                (with(head, "Content-Range", text), bytes)
            }
            Part::Nothing => {
                let refusal = refusal(Status::RANGE_NOT_SATISFIABLE);
                let text = format!("bytes */{len}");
                return Ok(Sending::whole(with(refusal, "Content-Range", text)));
            }
        };
        let content = Some(Content { file, left });
        Ok(Sending { head, content })
    }
}

impl<S> Exchange<S> for Sending {
    fn produce(&mut self, flow: &mut Flow<'_>, _: &mut S) {
        let Some(Content { file, left }) = &mut self.content else {
            let _ = flow.send(&self.head); // a second time it has begun already
            return;
        };
        let _ = flow.respond(&self.head, Some(left.end - left.start)); // as above
        let mut piece = [0; PIECE];
        loop {
            let room = flow.room().min(PIECE); // never more than is left
            if room == 0 {
                return; // asked again when the client has taken some
            }
            match file.read_at(&mut piece[..room], left.start) {
                Ok(len @ 1..) => left.start += flow.write(&piece[..len]) as u64,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Shorter than it was, or not to be read: the client is to see that, so it is cut off.
                Ok(_) | Err(_) => return flow.abort(),
            }
        }
    }
}

/// To the folder's own path, which ends with a slash. Made of what was found, not of what was sent: it
/// begins with our prefix and one slash, so it never names another host (CVE-2016-1133).
fn redirect(names: &[Cow<'_, [u8]>], query: Option<&str>) -> Response {
    let mut path = format!("/{PREFIX}/");
    for name in names {
        path.extend(percent_encode(name, SEGMENT));
        path.push('/');
    }
    if let Some(query) = query {
        path.push('?');
        path.push_str(query);
    }
    with(refusal(Status::MOVED_PERMANENTLY), "Location", path)
}

/// No name and no reason: what lies outside, is hidden or is not there looks all the same.
fn status_of(error: Errno) -> Status {
    match error {
        Errno::ACCESS | Errno::PERM => Status::FORBIDDEN,
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN => Status::SERVICE_UNAVAILABLE,
        Errno::IO | Errno::STALE => Status::INTERNAL_SERVER_ERROR,
        _ => Status::NOT_FOUND,
    }
}

fn refusal(status: Status) -> Response {
    Response::text(format!("{}\n", status.reason())).with_status(status)
}

fn with_validators(head: Response, validators: &Validators) -> Response {
    let head = with(head, "ETag", validators.tag.clone());
    match validators.last_modified() {
        Some(date) => with(head, "Last-Modified", date),
        None => head,
    }
}

/// All values are ours, or escaped; one that cannot be sent after all is a mistake of ours.
fn with(head: Response, name: &'static str, value: impl Into<bytes::Bytes>) -> Response {
    let with = head.with_field(name, value);
    with.unwrap_or_else(|_| refusal(Status::INTERNAL_SERVER_ERROR))
}
