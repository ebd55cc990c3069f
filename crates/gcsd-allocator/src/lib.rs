//! jemalloc, set to give memory back soon after load, as the allocator of the program that links this crate.
//!
//! A daemon that streams allocates a buffer for each read and each TLS record. glibc's allocator returns them to the kernel one
//! by one while a single upload runs, and keeps them when a thousand have ended; jemalloc reuses them, and a thread of its own
//! returns what nobody has used for a second.
#![cfg(target_os = "linux")]

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// How jemalloc is set. It reads this symbol when it starts (jemalloc(3), "TUNING"); `_RJEM_MALLOC_CONF` in the environment
/// goes before it.
#[expect(
    unsafe_code,
    reason = "the name is that of a variable which jemalloc declares weak and reads"
)]
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static CONFIGURATION: &[u8; 60] = b"background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0\0";

#[cfg(test)]
mod tests {
    #[test]
    fn jemalloc_reads_the_configuration() {
        assert!(tikv_jemalloc_ctl::opt::background_thread::read().expect("an option"));
        assert!(tikv_jemalloc_ctl::background_thread::read().expect("a state"));
    }
}
