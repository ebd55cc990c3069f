//! Many small jobs at once, most of which wait for something to stand still.

use std::collections::VecDeque;
use std::sync::Mutex;

use tokio::task::JoinSet;

/// How many jobs go on at once on each thread.
const AT_ONCE: usize = 32;

/// Runs `job` on all of `inputs`, on as many threads as there are processors.
///
/// Each thread has a runtime of its own: what a task does between two awaits, no other task of its job can see
/// half done.
pub(crate) fn run_all<I, O, F>(inputs: Vec<I>, job: impl Fn(I) -> F + Sync) -> Vec<O>
where
    I: Send,
    O: Send + 'static,
    F: Future<Output = O> + Send + 'static,
{
    let left = Mutex::new(VecDeque::from(inputs));
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| work(&left, &job))).collect();
        let outputs = workers.into_iter().map(|worker| worker.join().expect("no panic"));
        outputs.flatten().collect()
    })
}

/// Takes inputs until there are none.
fn work<I, O, F>(left: &Mutex<VecDeque<I>>, job: impl Fn(I) -> F) -> Vec<O>
where
    O: Send + 'static,
    F: Future<Output = O> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut outputs = Vec::new();
        let mut running = JoinSet::new();
        loop {
            while running.len() < AT_ONCE {
                let next = left.lock().expect("no panic under the lock").pop_front();
                let Some(input) = next else { break };
                running.spawn(job(input));
            }
            match running.join_next().await {
                Some(output) => outputs.push(output.expect("no panic")),
                None => return outputs,
            }
        }
    })
}
