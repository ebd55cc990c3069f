//! The `gcsd` binary: parse, build the runtime, run, exit code.

use std::process::ExitCode;

use clap::Parser;
use gcsd::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(code) = cli.prepare() {
        return code;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("gcsd: the runtime could not be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(cli.run());
    // What still runs now (a blocked read of standard input) must not hold up the exit.
    runtime.shutdown_background();
    code
}
