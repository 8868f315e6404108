//! A descriptor that is readable while something waits.

#[cfg(unix)]
mod imp {
    use std::io::{self, Read, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;
    use std::thread;

    /// How often a byte is looked for that another thread is about to write.
    const LOOKS: u32 = 100;

    /// One byte lies in the pair while the signal is set.
    pub struct Signal {
        reader: UnixStream,
        writer: UnixStream,
    }

    impl Signal {
        pub fn new() -> io::Result<Self> {
            let (reader, writer) = UnixStream::pair()?;
            reader.set_nonblocking(true)?;
            writer.set_nonblocking(true)?;
            Ok(Self { reader, writer })
        }

        pub fn fd(&self) -> i32 {
            self.reader.as_raw_fd()
        }

        /// Sets or clears it; only ever what it is not, or not yet: who sets it need not hold a lock. False: it was in vain.
        pub fn set(&self, on: bool) -> bool {
            // One byte in or out of an empty or one-byte pair cannot block.
            if on {
                return (&self.writer).write(&[1]).is_ok();
            }
            (0..LOOKS).any(|_| {
                let done = (&self.reader).read(&mut [0; 1]).is_ok();
                if !done {
                    thread::yield_now();
                }
                done
            })
        }
    }
}

#[cfg(not(unix))]
mod imp {
    use std::io;

    /// Not on this platform.
    pub struct Signal;

    impl Signal {
        pub fn new() -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub fn fd(&self) -> i32 {
            -1
        }

        pub fn set(&self, _on: bool) -> bool {
            false
        }
    }
}

pub(super) use imp::Signal;
