//! What no network and no server may do to a program: faults between client and server, and hostile servers. Everything goes
//! through the exported C functions, as a program would. `docs/reliability.md` tells what was tried.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod faults;
