//! The built-in files load, and what they promise is there.

use talkwire_agent::Mind;
use talkwire_agent::flow::Library;
use talkwire_core::Catalogue;

#[test]
fn the_built_in_flows_load() {
    if let Err(error) = Library::builtin() {
        panic!("{error}");
    }
    let mind = Mind::builtin();
    assert_eq!(mind.flows().count(), 9);
    assert_eq!(mind.causes().len(), 79);
}

#[test]
fn the_built_in_catalogue_has_every_tool_of_the_documents() {
    let catalogue = Catalogue::builtin();
    let named = "topology.get_full wifi.get_environment device.get_capabilities clients.list system.get_logs network.speedtest_full \
        diagnostics.wan_connectivity diagnostics.latency_matrix mesh.backhaul_test dhcpdns.scan_rogue wifi.set_power wifi.set_channel \
        qos.apply_policy wifi.client_disconnect system.restart_service changeset.create changeset.commit changeset.rollback \
        changeset.status dhcpdns.get_config dhcpdns.set network.trace_route traffic.get_top_talkers clients.health \
        system.get_hardware_info wifi.signal_map mesh.get_topology wifi.roaming_test mesh.optimize_placement wifi.basic_scan \
        network.interface_status network.speedtest system.restart device.status speed_test restart name.resolve_test qos.get_status \
        batch.execute changeset.prepare changeset.extend device.restart";
    for op in named.split_whitespace() {
        assert!(catalogue.tool(op).is_some(), "{op} is not in the catalogue");
    }
    for tool in catalogue.tools() {
        assert!(![&tool.title.zh_tw, &tool.title.zh_cn, &tool.title.en].iter().any(|text| text.is_empty()), "{} has a title", tool.op);
        let is_act = tool.class == talkwire_core::catalogue::Class::Act;
        assert_eq!(is_act, !tool.impact.en.is_empty(), "{}: Act tools say what people feel", tool.op);
        for name in ["changeset_id", "auto_rollback_timeout", "controller_loss_timeout"] {
            assert!(!is_act || !tool.args.contains_key(name), "{}: {name} is the controller's", tool.op);
        }
    }
}
