//! The `lab` program from outside: wrong input, faults that must turn a run red, its own end in the
//! middle of a boot, a Pixiecore of the user's own, images of the user's own, the boot server's unit under systemd,
//! rehearsals, labs that stay. All but wrong
//! input, explanations, validation and plans boot real machines.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod adversarial;
mod again;
mod bad_input;
mod broken_on_purpose;
mod doctor;
mod explained;
mod faults;
mod guides;
mod host;
mod hostile;
mod images;
mod killed;
mod made_new;
mod manual;
mod on_host;
mod out_of_space;
mod own_pixiecore;
mod planned;
mod pty;
mod rehearsed;
mod remote;
mod stays;
mod support;
mod systemd_unit;
mod validated;
