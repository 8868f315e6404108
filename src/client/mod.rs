//! The driver: sockets, clocks, threads, queues.
