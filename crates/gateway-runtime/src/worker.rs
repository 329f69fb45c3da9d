//! The threads that carry traffic: one current-thread runtime each.
//!
//! A connection lives on the worker that accepted it, so its sockets, buffers and timers never
//! cross a thread. Everything slow or periodic runs on the caller's own runtime, the control
//! thread, so that an idle worker is never woken for housekeeping.

use std::io;
use std::num::NonZeroUsize;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;
use tokio::task::JoinHandle as Task;

/// The workers of a process. Dropping them ends all their tasks.
#[derive(Debug)]
pub struct Workers {
    handles: Vec<Handle>,
    threads: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
}

impl Workers {
    /// Starts `count` threads.
    ///
    /// # Errors
    /// What the system says when it refuses a thread or an epoll instance.
    pub fn start(count: NonZeroUsize) -> io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let mut workers = Self { handles: Vec::new(), threads: Vec::new(), stop };
        for index in 0..count.get() {
            let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
            workers.handles.push(runtime.handle().clone());
            let mut stopped = stopped.clone();
            let thread = std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
                // An error means that the sender is gone, which is a stop as well.
                runtime.block_on(async move { drop(stopped.wait_for(|stop| *stop).await) });
            })?;
            workers.threads.push(thread);
        }
        Ok(workers)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.handles.len()
    }

    /// Runs a task on worker `index` (modulo their number).
    pub fn spawn_on<F>(&self, index: usize, task: F) -> Option<Task<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let index = index.checked_rem(self.handles.len())?;
        self.handles.get(index).map(|handle| handle.spawn(task))
    }
}

impl Workers {
    /// Ends all tasks and waits for the threads, but no longer than `limit`: one that is stuck in a
    /// call must not keep the process from ending. Returns how many did not end.
    pub fn stop(mut self, limit: Duration) -> usize {
        self.stop.send_replace(true);
        let deadline = Instant::now() + limit;
        while self.threads.iter().any(|thread| !thread.is_finished()) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        let stuck = self.threads.iter().filter(|thread| !thread.is_finished()).count();
        self.threads.retain(JoinHandle::is_finished);
        stuck
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a worker thread has panicked");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_run_on_their_worker_and_end_with_it() {
        let workers = Workers::start(NonZeroUsize::new(2).unwrap()).unwrap();
        let (send, receive) = std::sync::mpsc::channel();
        for index in 0..4 {
            let send = send.clone();
            workers.spawn_on(index, async move {
                send.send(std::thread::current().name().map(str::to_owned)).unwrap();
                std::future::pending::<()>().await;
            });
        }
        drop(send);
        let mut names: Vec<_> = receive.iter().take(4).flatten().collect();
        names.sort();
        assert_eq!(names, ["worker-0", "worker-0", "worker-1", "worker-1"]);
        drop(workers);
        assert!(receive.recv().is_err(), "all tasks are gone");
    }

    #[test]
    fn a_stuck_worker_does_not_keep_the_process() {
        let workers = Workers::start(NonZeroUsize::new(2).unwrap()).unwrap();
        let (hold, held) = std::sync::mpsc::channel::<()>();
        let (send, receive) = std::sync::mpsc::channel();
        workers.spawn_on(0, async move {
            send.send(()).unwrap();
            let _stuck_until_the_end = held.recv();
        });
        receive.recv().unwrap();
        assert_eq!(workers.stop(Duration::from_millis(50)), 1);
        drop(hold);
    }
}
