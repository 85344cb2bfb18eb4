//! VLANs of network cards (`NetworkPkg/MnpDxe/MnpVlan.c` of EDK2).

use uuid::{Uuid, uuid};

use crate::store::{Attributes, Variable, VariableStore};

/// Vendor of the variables (`gEfiVlanConfigProtocolGuid`).
const VLAN_CONFIG: Uuid = uuid!("9e23d768-d2f3-4366-9fc3-3a7aba864374");

/// Makes the firmware tag the frames of a card with this VLAN, and send none without a tag.
pub fn set_vlan(store: &mut VariableStore, mac: [u8; 6], vlan: u16) {
    // Named after the MAC, without separators. One tag control information for each VLAN: the id with priority 0.
    let name: String = mac.iter().map(|byte| format!("{byte:02X}")).collect();
    let data = vlan.to_le_bytes().to_vec();
    store.set(Variable::new(&name, VLAN_CONFIG, Attributes::BOOT, data));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_vlan_names_the_card_and_keeps_one_vlan() {
        let image = std::fs::read("/usr/share/OVMF/OVMF_VARS_4M.fd").expect("package ovmf");
        let mut store = VariableStore::read(&image).unwrap();
        let before = store.variables().len();
        let mac = [0x52, 0x54, 0, 0xa1, 0x9c, 0xae];
        set_vlan(&mut store, mac, 7);
        set_vlan(&mut store, mac, 0x065);
        let image = store.to_image().unwrap();
        let store = VariableStore::read(&image).unwrap();
        let found = store.get("525400A19CAE", VLAN_CONFIG).unwrap();
        assert_eq!(
            (found.attributes, &*found.data),
            (Attributes::BOOT, &[0x65, 0][..])
        );
        assert_eq!(store.variables().len(), before + 1);
    }
}
