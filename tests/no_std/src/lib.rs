//! Every machine of tidewire in a program without `std`, operating system or unwinding.
//!
//! `run` builds it and looks at what was linked.
#![no_std]

use core::panic::PanicInfo;
use static_alloc::Bump;
use tidewire::{RecvBuf, SendBuf};

/// Memory for everything that the machines allocate. It is never given back: the shortest allocator
/// that can be made without `unsafe`.
#[global_allocator]
static HEAP: Bump<[u8; 1 << 20]> = Bump::uninit();

/// Keeps the functions, since an exported name would need `unsafe`.
#[used]
static ENTRIES: [fn(&[u8]) -> usize; 1] = [buffers];

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

fn buffers(input: &[u8]) -> usize {
    let mut rx = RecvBuf::with_limit(1024);
    let mut tx = SendBuf::new();
    let n = rx.push(input);
    tx.append(rx.raw());
    tx.len() + n
}
