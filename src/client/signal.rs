//! A descriptor that is readable while something waits.

#[cfg(unix)]
mod imp {
    use std::io::{self, Read, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    /// One byte lies in the pair while the signal is set.
    pub struct Signal {
        reader: UnixStream,
        writer: UnixStream,
        set: bool,
    }

    impl Signal {
        pub fn new() -> io::Result<Self> {
            let (reader, writer) = UnixStream::pair()?;
            reader.set_nonblocking(true)?;
            writer.set_nonblocking(true)?;
            Ok(Self {
                reader,
                writer,
                set: false,
            })
        }

        pub fn fd(&self) -> i32 {
            self.reader.as_raw_fd()
        }

        pub fn set(&mut self, on: bool) {
            if on == self.set {
                return;
            }
            // One byte in or out of an empty or one-byte pair cannot block; a failure leaves `set` as it was.
            let done = if on {
                self.writer.write(&[1]).is_ok()
            } else {
                self.reader.read(&mut [0; 1]).is_ok()
            };
            if done {
                self.set = on;
            }
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

        pub fn set(&mut self, _on: bool) {}
    }
}

pub(super) use imp::Signal;
