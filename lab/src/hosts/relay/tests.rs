//! The relay agent by sections of its RFCs.

use std::net::Ipv4Addr;

use boot_server_proto::dhcp::{Message, MessageType, code};
use boot_server_proto::mac::MacAddr;
use lab_model::fault::RelayFlaw;

use super::agent::{Agent, AgentLeg, Discarded};

const CLIENT: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const UPSTREAM: usize = 0;
const RACK1: usize = 1;
const RACK2: usize = 2;

fn address(network: u8, host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 20, network, host)
}

fn agent() -> Agent {
    let leg = |(number, network): (u8, &str)| AgentLeg {
        network: network.to_owned(),
        address: address(number, 254),
        mac: MacAddr([2, 9, 9, 9, 9, number]),
    };
    Agent {
        legs: [(0, "servers"), (1, "rack1"), (2, "rack2")].map(leg).into(),
        upstream: UPSTREAM,
        link_selection: false,
        server_id_override: false,
        vpn: None,
        flaw: None,
    }
}

fn discover() -> Message {
    Message::from_client(MessageType::Discover, CLIENT, 7)
}

/// The server's answer to a relayed request, with option 82 as it came (RFC 3046 §2.2).
fn offer(relayed: &Message) -> Message {
    let mut offer = Message::reply_to(relayed);
    offer.your_address = address(1, 100);
    offer
        .options
        .set(code::MESSAGE_TYPE, [MessageType::Offer.to_wire()]);
    if let Some(information) = relayed.options.bytes(code::RELAY_AGENT_INFO) {
        offer.options.set(code::RELAY_AGENT_INFO, information);
    }
    offer
}

fn information(message: &Message) -> &[u8] {
    message
        .options
        .bytes(code::RELAY_AGENT_INFO)
        .unwrap_or_default()
}

mod rfc1542_4_1_1_requests {
    use super::*;

    #[test]
    fn to_server_first_relay_names_the_clients_leg_and_counts_itself() {
        let relayed = agent().to_server(&discover(), RACK1).unwrap();
        assert_eq!(relayed.relay_agent, address(1, 254));
        assert_eq!((relayed.hops, relayed.xid), (1, 7));
    }

    #[test]
    fn to_server_giaddr_of_another_relay_remains() {
        let mut request = discover();
        request.relay_agent = address(9, 1);
        let relayed = agent().to_server(&request, RACK1).unwrap();
        assert_eq!(relayed.relay_agent, address(9, 1));
        assert_eq!(relayed.hops, 1);
    }

    #[test]
    fn to_server_message_that_passed_sixteen_relays_is_discarded() {
        let mut request = discover();
        request.hops = 15;
        assert_eq!(agent().to_server(&request, RACK1).unwrap().hops, 16);
        request.hops = 16;
        let discarded = agent().to_server(&request, RACK1);
        assert_eq!(discarded, Err(Discarded::TooManyHops));
    }

    #[test]
    fn to_server_reply_and_request_of_the_servers_network_are_discarded() {
        let reply = offer(&discover());
        let discarded = agent().to_server(&reply, RACK1);
        assert_eq!(discarded, Err(Discarded::NotARequest));
        let discarded = agent().to_server(&discover(), UPSTREAM);
        assert_eq!(discarded, Err(Discarded::ServersOwnNetwork));
    }
}

mod rfc1542_4_1_2_replies {
    use super::*;

    #[test]
    fn to_client_goes_to_the_leg_of_giaddr_by_unicast_unless_broadcast_is_asked_for() {
        let agent = agent();
        let mut request = discover();
        for (leg, broadcasts) in [(RACK1, false), (RACK2, true)] {
            if broadcasts {
                request.set_broadcast();
            }
            let relayed = agent.to_server(&request, leg).unwrap();
            let mut reply = offer(&relayed);
            reply.options.remove(code::RELAY_AGENT_INFO);
            let sent = agent.to_client(&reply).unwrap();
            assert_eq!(sent.leg, leg);
            let unicast = (!broadcasts).then_some((address(1, 100), CLIENT));
            assert_eq!(sent.unicast, unicast);
        }
    }

    #[test]
    fn to_client_nak_is_broadcast() {
        let relayed = agent().to_server(&discover(), RACK1).unwrap();
        let mut nak = offer(&relayed);
        nak.options
            .set(code::MESSAGE_TYPE, [MessageType::Nak.to_wire()]);
        assert_eq!(agent().to_client(&nak).unwrap().unicast, None);
    }

    #[test]
    fn to_client_answer_for_another_relay_is_discarded() {
        let mut reply = offer(&agent().to_server(&discover(), RACK1).unwrap());
        reply.relay_agent = address(9, 1);
        let discarded = agent().to_client(&reply);
        assert_eq!(discarded, Err(Discarded::AnotherRelay(address(9, 1))));
    }
}

mod rfc3046_2_1_option_82 {
    use super::*;

    #[test]
    fn to_server_circuit_and_remote_id_are_added_as_the_last_option() {
        let relayed = agent().to_server(&discover(), RACK1).unwrap();
        assert_eq!(
            information(&relayed),
            b"\x01\x05rack1\x02\x06\x02\x09\x09\x09\x09\x01"
        );
        let last = relayed.options.iter().last();
        assert_eq!(last.map(|(code, _)| code), Some(code::RELAY_AGENT_INFO));
    }

    #[test]
    fn to_server_clients_own_option_is_discarded() {
        let mut request = discover();
        request.options.set(code::RELAY_AGENT_INFO, b"\x01\x01x");
        let discarded = agent().to_server(&request, RACK1);
        assert_eq!(discarded, Err(Discarded::UntrustedOption));
    }

    #[test]
    fn to_server_option_of_a_nearer_relay_remains_and_none_is_added() {
        let mut request = discover();
        request.relay_agent = address(9, 1);
        let relayed = agent().to_server(&request, RACK1).unwrap();
        assert_eq!(information(&relayed), b"");
        request.options.set(code::RELAY_AGENT_INFO, b"\x01\x01x");
        let relayed = agent().to_server(&request, RACK1).unwrap();
        assert_eq!(information(&relayed), b"\x01\x01x");
    }

    #[test]
    fn to_server_message_with_this_relays_own_address_is_discarded() {
        let mut request = discover();
        request.relay_agent = address(2, 254);
        let discarded = agent().to_server(&request, RACK1);
        assert_eq!(discarded, Err(Discarded::SpoofedRelay));
    }

    #[test]
    fn to_server_message_without_room_goes_on_without_the_option() {
        let mut request = discover();
        // Header, type, this option in six parts, end: 1472 bytes at most, 9 of them for another option.
        request.options.set(224, vec![7; 1205]);
        request.boot_file = b"x".to_vec();
        request.server_name = b"x".to_vec();
        let relayed = agent().to_server(&request, RACK1).unwrap();
        assert_eq!(relayed.relay_agent, address(1, 254));
        assert_eq!(information(&relayed), b"");
    }

    #[test]
    fn to_client_option_is_removed() {
        let relayed = agent().to_server(&discover(), RACK1).unwrap();
        let sent = agent().to_client(&offer(&relayed)).unwrap();
        assert!(!sent.message.options.contains(code::RELAY_AGENT_INFO));
        assert_eq!(sent.message.your_address, address(1, 100));
    }
}

mod rfc3527_3_link_selection {
    use super::*;

    fn selecting() -> Agent {
        Agent {
            link_selection: true,
            ..agent()
        }
    }

    #[test]
    fn to_server_link_is_in_the_option_and_giaddr_is_toward_the_server() {
        let relayed = selecting().to_server(&discover(), RACK2).unwrap();
        assert_eq!(relayed.relay_agent, address(0, 254));
        assert_eq!(relayed.selected_link(), Some(address(2, 254)));
    }

    #[test]
    fn to_client_circuit_tells_the_leg_and_without_it_the_answer_is_discarded() {
        let relayed = selecting().to_server(&discover(), RACK2).unwrap();
        let mut reply = offer(&relayed);
        assert_eq!(selecting().to_client(&reply).unwrap().leg, RACK2);
        reply.options.remove(code::RELAY_AGENT_INFO);
        let discarded = selecting().to_client(&reply);
        assert_eq!(discarded, Err(Discarded::UnknownCircuit));
    }
}

mod rfc5107_4_server_id_override {
    use super::*;

    #[test]
    fn to_server_clients_leg_stands_in_for_the_server() {
        assert_eq!(
            agent()
                .to_server(&discover(), RACK1)
                .unwrap()
                .server_id_override(),
            None
        );
        let overriding = Agent {
            server_id_override: true,
            ..agent()
        };
        let relayed = overriding.to_server(&discover(), RACK1).unwrap();
        assert_eq!(relayed.server_id_override(), Some(address(1, 254)));
    }
}

mod rfc6607_virtual_subnets {
    use boot_server_proto::dhcp::{SelectedVpn, Vpn};

    use super::*;

    fn in_blue() -> Agent {
        Agent {
            vpn: Some(Vpn::Name("blue".into())),
            ..agent()
        }
    }

    #[test]
    fn to_server_vpn_and_its_control_are_in_the_option() {
        let relayed = in_blue().to_server(&discover(), RACK1).unwrap();
        let blue = SelectedVpn::Of(Vpn::Name("blue".into()));
        assert_eq!(relayed.selected_vpn(), Some(blue));
        assert!(relayed.has_vpn_control());
        let relayed = agent().to_server(&discover(), RACK1).unwrap();
        assert_eq!(relayed.selected_vpn(), None);
    }

    #[test]
    fn to_client_answer_is_passed_on_only_if_the_server_has_used_the_vpn() {
        let relayed = in_blue().to_server(&discover(), RACK1).unwrap();
        let mut reply = offer(&relayed);
        let discarded = in_blue().to_client(&reply);
        assert_eq!(discarded, Err(Discarded::VpnIgnored));
        reply.remove_vpn_control();
        assert_eq!(in_blue().to_client(&reply).unwrap().leg, RACK1);
    }
}

mod flaws {
    use super::*;

    fn flawed(flaw: RelayFlaw) -> Agent {
        Agent {
            flaw: Some(flaw),
            ..agent()
        }
    }

    #[test]
    fn to_server_giaddr_is_missing_or_the_link_is_another_racks() {
        let none = flawed(RelayFlaw::NoGiaddr);
        let relayed = none.to_server(&discover(), RACK1).unwrap();
        assert!(relayed.relay_agent.is_unspecified());
        assert_eq!(information(&relayed), b"");
        let other = flawed(RelayFlaw::OtherLink(address(2, 1)));
        let relayed = other.to_server(&discover(), RACK1).unwrap();
        assert_eq!(relayed.relay_agent, address(0, 254));
        assert_eq!(relayed.selected_link(), Some(address(2, 1)));
        // Its answer still comes to the client: the circuit tells the leg.
        assert_eq!(other.to_client(&offer(&relayed)).unwrap().leg, RACK1);
    }

    #[test]
    fn to_client_reply_with_option_82_is_lost() {
        let agent = flawed(RelayFlaw::DropsOption82);
        let relayed = agent.to_server(&discover(), RACK1).unwrap();
        let discarded = agent.to_client(&offer(&relayed));
        assert_eq!(discarded, Err(Discarded::OptionInReply));
    }
}
