//! `pinned PROCESSORS PROGRAM ARGUMENT...` becomes PROGRAM on PROCESSORS (`0` or `0,1`), with as many
//! descriptors as are allowed, and is killed when whoever started it is gone: no server outlives
//! the comparison.

use std::env;
use std::error::Error;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use rustix::process::{Resource, Rlimit, Signal};
use rustix::process::{getrlimit, set_parent_process_death_signal, setrlimit};
use trine_compare::processors::{pin, processors};

fn main() -> ExitCode {
    let Err(error) = become_program();
    eprintln!("pinned PROCESSORS PROGRAM ARGUMENT...: {error}");
    ExitCode::FAILURE
}

/// Returns only when it fails.
fn become_program() -> Result<std::convert::Infallible, Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1);
    let (Some(on), Some(program)) = (arguments.next(), arguments.next()) else {
        return Err("two arguments at least are needed".into());
    };
    let on = on.to_str().ok_or("PROCESSORS must be numbers")?;
    pin(&processors(on)?)?;
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let maximum = getrlimit(Resource::Nofile).maximum;
    let all = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, all)?;
    Err(Command::new(program).args(arguments).exec().into())
}
