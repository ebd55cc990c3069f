//! The `gcsd` binary: parse, build the runtime, run, exit code.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use gcsd::cli::Cli;
// The allocator, by being linked.
use gcsd_allocator as _;

fn main() -> ExitCode {
    let cli = match Cli::from_words(std::env::args_os()) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    if let Err(code) = cli.prepare() {
        return code;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _gone = writeln!(
                std::io::stderr(),
                "gcsd: the runtime could not be started: {error}"
            );
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(cli.run());
    // A file that is being created gets a moment to be removed again; what blocks forever does not hold up the exit.
    runtime.shutdown_timeout(Duration::from_millis(500));
    code
}
