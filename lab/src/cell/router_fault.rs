//! Injection of faults into a router of the cell: flaws of its relay, a second relay, and links that are cut or narrow.

use std::io;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use lab_model::fault::{RelayFlaw, RouterChange};

use crate::hosts::attachment::{Plugged, ip};
use crate::hosts::router::{Leg, RouterJob};

/// Returns the routers that stand in for a router of the scenario, with their names.
pub(super) fn changed(
    name: &str,
    mut job: RouterJob,
    change: RouterChange,
) -> Vec<(String, RouterJob)> {
    let mut routers = Vec::new();
    if let Some(link) = change.second_link {
        let second = second(&job, RelayFlaw::OtherLink(link));
        routers.push((format!("{name}-second"), second));
        set_flaw(&mut job, RelayFlaw::Late);
    }
    if let Some(flaw) = change.flaw {
        set_flaw(&mut job, flaw);
    }
    routers.push((name.to_owned(), job));
    routers
}

/// Returns a second router with the same legs, each with the next lower of the highest addresses that is free.
fn second(job: &RouterJob, flaw: RelayFlaw) -> RouterJob {
    let mut second = job.clone();
    for leg in &mut second.legs {
        let free = Ipv4Net::new(leg.address, leg.prefix).map(|network| network.hosts());
        let free = free.ok().and_then(|hosts| hosts.rev().nth(1));
        leg.address = free.unwrap_or(leg.address);
        let [.., last] = &mut leg.mac.0;
        *last ^= 0x80;
    }
    set_flaw(&mut second, flaw);
    second
}

fn set_flaw(job: &mut RouterJob, flaw: RelayFlaw) {
    if let Some(relay) = &mut job.relay {
        relay.flaw = Some(flaw);
    }
}

/// Cuts or narrows the links of a running router. `host` is an address in the servers' network.
///
/// # Errors
/// Fails if an interface cannot be changed.
pub(super) async fn cut(
    job: &RouterJob,
    router: &Plugged,
    host: Ipv4Addr,
    change: RouterChange,
) -> io::Result<()> {
    for (leg, port) in job.legs.iter().zip(&router.ports) {
        let is_servers = is_around(leg, host);
        if is_servers && change.unplugged {
            ip(&["link", "set", port, "down"]).await?;
        }
        if let (false, Some(mtu)) = (is_servers, change.narrow) {
            // One end only: neither end knows that its long frames are lost.
            ip(&["link", "set", port, "mtu", &mtu.to_string()]).await?;
        }
    }
    Ok(())
}

fn is_around(leg: &Leg, address: Ipv4Addr) -> bool {
    Ipv4Net::new(leg.address, leg.prefix).is_ok_and(|network| network.contains(&address))
}

#[cfg(test)]
mod tests {
    use boot_server_proto::mac::MacAddr;
    use lab_model::scenario::{Outside, RelayProgram};

    use super::*;
    use crate::hosts::router::RelayJob;

    #[test]
    fn changed_second_relay_has_free_addresses_and_answers_first() {
        let leg = |network: &str, number| Leg {
            network: network.into(),
            bridge: network.into(),
            interface: String::new(),
            mac: MacAddr([2, 0, 0, 0, 9, number]),
            address: Ipv4Addr::new(10, 20, number, 254),
            prefix: 24,
            mtu: None,
            advertises: false,
        };
        let job = RouterJob {
            legs: vec![leg("servers", 0), leg("rack1", 1)],
            trunk: None,
            routes: Vec::new(),
            blocked: Vec::new(),
            relay: Some(RelayJob {
                program: RelayProgram::Ours,
                server: Ipv4Addr::new(10, 20, 0, 1),
                link_selection: false,
                server_id_override: false,
                vpn: None,
                flaw: None,
            }),
            outside: Outside::Unreachable,
        };
        let link = Ipv4Addr::new(10, 20, 2, 1);
        let change = RouterChange {
            second_link: Some(link),
            ..RouterChange::default()
        };
        let flaw = |job: &RouterJob| job.relay.as_ref().and_then(|relay| relay.flaw);
        let [(second, other), (first, own)] = &changed("router1", job.clone(), change)[..] else {
            panic!("not two routers");
        };
        assert_eq!((&**second, &**first), ("router1-second", "router1"));
        assert_eq!(flaw(other), Some(RelayFlaw::OtherLink(link)));
        assert_eq!(flaw(own), Some(RelayFlaw::Late));
        let addresses: Vec<Ipv4Addr> = other.legs.iter().map(|leg| leg.address).collect();
        let free = [Ipv4Addr::new(10, 20, 0, 253), Ipv4Addr::new(10, 20, 1, 253)];
        assert_eq!(addresses, free);
        assert_ne!(other.legs[0].mac, own.legs[0].mac);
        assert_eq!(own.legs, job.legs);
    }
}
