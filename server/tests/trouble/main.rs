//! What goes wrong, against the program itself: bad input, cut uploads, unknown addresses, full disks, kills. Each gets a
//! clear error, nothing is lost, and the server goes on.

mod files;
mod kills;
mod names;
mod recipes;
mod server;
mod training;
