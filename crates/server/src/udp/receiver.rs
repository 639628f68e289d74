//! A socket's packets, as many as the system gives with one call, in buffers that are made once.

use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSockRef, UdpSocketState};
use std::io::{self, IoSliceMut};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// What a packet over UDP holds at most, and a little more.
const PACKET_BYTES_MAX: usize = 64 << 10;

pub(super) struct Receiver {
    socket: UdpSocket,
    state: UdpSocketState,
    /// Room for one packet beside the other. The system gives the memory when packets fill it.
    buffers: Vec<u8>,
    metas: [RecvMeta; BATCH_SIZE],
}

impl Receiver {
    /// Asks the system for a large buffer of its own and takes what it grants.
    pub(super) fn new(socket: UdpSocket, buffer_bytes: usize) -> io::Result<Self> {
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        // With the right to, beyond what the system's setting allows.
        if rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, buffer_bytes).is_err() {
            state.set_recv_buffer_size(UdpSockRef::from(&socket), buffer_bytes)?;
        }
        // The system counts its own bookkeeping in, and so doubles what it is asked for.
        let granted_bytes = state.recv_buffer_size(UdpSockRef::from(&socket))? / 2;
        if granted_bytes < buffer_bytes {
            let setting = "net.core.rmem_max bounds it";
            tracing::debug!(granted_bytes, buffer_bytes, setting, "the buffer for packets is smaller than asked for");
        }
        let buffers = vec![0; BATCH_SIZE * PACKET_BYTES_MAX];
        Ok(Self { socket, state, buffers, metas: [RecvMeta::default(); BATCH_SIZE] })
    }

    /// The number by which the system's lists know the socket; 0 where it has none.
    pub(super) fn inode(&self) -> u64 {
        rustix::fs::fstat(&self.socket).map_or(0, |stat| stat.st_ino)
    }

    /// Waits for packets. Dropped before it is through, it has taken none.
    pub(super) async fn receive(&mut self) -> io::Result<impl Iterator<Item = &[u8]>> {
        let Self { socket, state, buffers, metas } = self;
        let count = socket.async_io(Interest::READABLE, || receive(socket, state, buffers, metas)).await?;
        Ok(packets(buffers, &metas[..count]))
    }

    /// The packets that have come; an error when there are none.
    pub(super) fn receive_now(&mut self) -> io::Result<impl Iterator<Item = &[u8]>> {
        let Self { socket, state, buffers, metas } = self;
        let count = socket.try_io(Interest::READABLE, || receive(socket, state, buffers, metas))?;
        Ok(packets(buffers, &metas[..count]))
    }
}

fn receive(
    socket: &UdpSocket,
    state: &UdpSocketState,
    buffers: &mut [u8],
    metas: &mut [RecvMeta; BATCH_SIZE],
) -> io::Result<usize> {
    let mut buffers = buffers.chunks_exact_mut(PACKET_BYTES_MAX);
    let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
        std::array::from_fn(|_| IoSliceMut::new(buffers.next().unwrap_or_default()));
    state.recv(UdpSockRef::from(socket), &mut slices, metas)
}

/// Each packet by itself: the system may have put several of one sender into one buffer.
fn packets<'a>(buffers: &'a [u8], metas: &'a [RecvMeta]) -> impl Iterator<Item = &'a [u8]> {
    let filled = buffers.chunks_exact(PACKET_BYTES_MAX).zip(metas).map(|(buffer, meta)| (&buffer[..meta.len], meta));
    filled.flat_map(|(bytes, meta)| bytes.chunks(meta.stride.max(1)))
}
