//! The lab: builds a private network, puts virtual machines on it, starts the boot server, lets the
//! machines boot over the network and proves that each came up with the configuration meant for it.
//!
//! `lab_model` has everything that needs no machine. Dependencies run one way:
//! `cell → (network, nodes, services, capture) → lab_model → lab_report`; `rehearsal` makes scenarios of a site that
//! somebody is about to roll out.
//!
//! The feature `cells`, on by default, has all modules that need libvirt, libpcap or a host with machines. Without it,
//! only the commands for files remain: scenarios, plans, lists of machines, runs and captures.

#[cfg(feature = "cells")]
pub mod capture;
#[cfg(feature = "cells")]
pub mod cell;
pub mod cli;
#[cfg(feature = "cells")]
pub mod doctor;
#[cfg(feature = "cells")]
pub mod hosts;
#[cfg(feature = "cells")]
pub mod hypervisor;
#[cfg(feature = "cells")]
pub mod node;
#[cfg(feature = "cells")]
pub mod persistent;
#[cfg(feature = "cells")]
pub mod preflight;
#[cfg(feature = "cells")]
pub mod rehearsal;
#[cfg(feature = "cells")]
pub mod remote;
#[cfg(feature = "cells")]
pub mod runner;
pub mod schema;
