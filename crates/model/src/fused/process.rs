//! What this process makes of the machine: its threads, its memory, the CPU's matrix units.

/// Whether the CPU has matrix units and this process may use them.
pub fn matrix_units() -> bool {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    return super::tiles::here();
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
    false
}

/// Makes this process one that computes until it ends. The calling thread becomes one of those that compute, so that it
/// works instead of sleeping until the others are done: a training otherwise goes to sleep some thousand times a step. Memory
/// that was freed is kept for the next tensors: a training otherwise gives it back and asks for it again some hundred times a
/// step, each page to be cleared anew. To be called once, before anything is computed; does nothing where it cannot help.
pub fn compute_here() {
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1) {
        // An error means that the threads are there already: then all stays as it was.
        let _ = rayon::ThreadPoolBuilder::new().use_current_thread().build_global();
    }
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for setting in [libc::M_MMAP_THRESHOLD, libc::M_TRIM_THRESHOLD] {
        #[allow(unsafe_code, reason = "a setting of the C library's allocator")]
        // SAFETY: two of its settings, which concern the memory that it has free; it may refuse them.
        unsafe {
            libc::mallopt(setting, i32::MAX);
        }
    }
}
