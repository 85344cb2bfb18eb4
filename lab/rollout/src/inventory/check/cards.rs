//! The network cards of a machine, and which of them boots.

use super::Checker;
use crate::inventory::source::{Node, Place, Value};
use crate::inventory::value;

pub(in crate::inventory) const MAC_KEYS: &[&str] = &["mac", "boots"];

impl Checker<'_> {
    /// Returns the cards, the one that boots first.
    pub(super) fn cards(
        &mut self,
        mac: Option<&Node>,
        macs: Option<&Node>,
    ) -> Vec<(String, Place)> {
        let boots =
            mac.and_then(|node| Some((self.parsed(Some(node), "mac", value::mac)?, node.at)));
        let mut cards: Vec<(String, Place)> = Vec::new();
        let mut marked: Vec<(String, Place)> = boots.clone().into_iter().collect();
        for item in macs.map_or(&[][..], |node| self.items(node)) {
            let Some((mac, boots)) = self.card(item) else {
                continue;
            };
            if cards.iter().any(|(known, _)| *known == mac) {
                let message = format!("duplicate card {mac} in `macs`");
                self.tell(item.at, message, "keep one of them");
                continue;
            }
            if boots && !marked.iter().any(|(known, _)| *known == mac) {
                marked.push((mac.clone(), item.at));
            }
            cards.push((mac, item.at));
        }
        if let [(first, _), (second, at), ..] = marked.as_slice() {
            let message = format!("conflict: several cards boot: {first} and {second}");
            let help = "a machine boots from one card: `mac`, else the card with `boots = true`, else the first of `macs`";
            self.tell(*at, message, help);
        }
        if let Some((boots, at)) = marked.into_iter().next() {
            let at = cards
                .iter()
                .position(|(mac, _)| *mac == boots)
                .map_or(at, |index| cards.remove(index).1);
            cards.insert(0, (boots, at));
        }
        cards
    }

    /// Returns a card of `macs`, and whether it is marked as the one that boots.
    fn card(&mut self, node: &Node) -> Option<(String, bool)> {
        let Value::Table(entries) = &node.value else {
            return Some((self.parsed(Some(node), "macs", value::mac)?, false));
        };
        self.known(entries, MAC_KEYS);
        let find = |key: &str| entries.iter().find(|entry| entry.key == key);
        let boots = match find("boots").map(|entry| (&entry.node.value, entry.node.at)) {
            None => false,
            Some((Value::Truth(boots), _)) => *boots,
            Some((other, at)) => {
                let message = format!("invalid `boots`: {} instead of true or false", other.what());
                self.tell(at, message, "write true or false, without quotes");
                false
            }
        };
        let Some(mac) = find("mac") else {
            self.tell(node.at, "missing `mac` of a card", "add its `mac`");
            return None;
        };
        Some((self.parsed(Some(&mac.node), "mac", value::mac)?, boots))
    }
}
