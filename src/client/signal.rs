//! A descriptor that is readable while something waits.

#[cfg(unix)]
mod imp {
    use std::fs::File;
    use std::io::{self, Read, Write};
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::os::unix::net::UnixStream;
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
    use std::thread;

    use once_cell::sync::OnceCell;

    /// How often a write is looked for that another thread is about to make.
    const LOOKS: u32 = 100;

    /// Makes a descriptor that counts what is written to it, and that a read empties; it never blocks.
    pub type Maker = fn() -> io::Result<OwnedFd>;

    static MAKER: OnceCell<Maker> = OnceCell::new();

    /// Sets what makes the descriptors. The first one counts; without one they are pairs of sockets, which cost more.
    pub fn set_maker(maker: Maker) {
        let _ = MAKER.set(maker);
    }

    /// A number lies in it while the signal is set.
    pub struct Signal {
        reader: File,
        /// The other end of a pair.
        writer: Option<File>,
        /// Who wanted to clear it has waited in vain for whoever is about to set it.
        overdue: AtomicBool,
    }

    impl Signal {
        pub fn new() -> io::Result<Self> {
            let (reader, writer) = match MAKER.get() {
                Some(make) => (make()?, None),
                None => {
                    let (reader, writer) = UnixStream::pair()?;
                    reader.set_nonblocking(true)?;
                    writer.set_nonblocking(true)?;
                    (reader.into(), Some(OwnedFd::from(writer)))
                }
            };
            Ok(Self {
                reader: reader.into(),
                writer: writer.map(File::from),
                overdue: AtomicBool::new(false),
            })
        }

        pub fn fd(&self) -> i32 {
            self.reader.as_raw_fd()
        }

        /// Sets it, which only one thread at a time may do; no lock need be held. False: it was in vain.
        pub fn set(&self) -> bool {
            let mut writer = self.writer.as_ref().unwrap_or(&self.reader);
            // So little in an empty descriptor cannot block.
            writer.write(&1_u64.to_ne_bytes()).is_ok()
        }

        /// Clears it: it is set, or will be at once. False: not yet, but whoever sets it is told then.
        pub fn clear(&self) -> bool {
            for _ in 0..LOOKS {
                if self.taken() {
                    return true;
                }
                thread::yield_now();
            }
            // Told first: who sets it between that and the last look finds it so.
            self.overdue.store(true, SeqCst);
            self.taken()
        }

        /// To be asked by who has set it: somebody wanted to clear it, and could not wait any longer.
        pub fn is_overdue(&self) -> bool {
            self.overdue.swap(false, SeqCst)
        }

        fn taken(&self) -> bool {
            (&self.reader).read(&mut [0; 8]).is_ok()
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

        pub fn set(&self) -> bool {
            false
        }

        pub fn clear(&self) -> bool {
            false
        }

        pub fn is_overdue(&self) -> bool {
            false
        }
    }
}

pub(super) use imp::Signal;
#[cfg(unix)]
pub use imp::set_maker;
