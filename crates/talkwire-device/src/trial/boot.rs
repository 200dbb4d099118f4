//! Trials of what is put back after a boot.

use super::*;

impl House {
    /// A device whose lamp forgets its level at a boot.
    async fn forgetful() -> Self {
        let house = Self::new().await;
        house.world.forgets.store(true, Ordering::SeqCst);
        house
    }

    async fn confirm(&mut self, set: &str, level: i64) {
        assert!(ok(&self.set(&format!("apply {set}"), set, level).await));
        self.manage("changeset.commit", set).await.unwrap();
    }

    async fn reboot(self) -> Self {
        if self.world.forgets.load(Ordering::SeqCst) {
            *self.world.level.lock().unwrap() = 0;
        }
        self.world.boots.fetch_add(1, Ordering::SeqCst);
        self.restart().await
    }

    fn events(&mut self) -> Vec<(&'static str, Value)> {
        self.keeper.reports().into_iter().map(|report| (report.event_type, report.data)).collect()
    }
}

#[tokio::test]
async fn what_was_confirmed_runs_again_after_a_boot_and_only_after_one() {
    let mut house = House::forgetful().await;
    house.confirm("one", 5).await;
    house.confirm("two", 7).await;
    // Whoever turns it by hand is not overruled by a mere restart of the program.
    *house.world.level.lock().unwrap() = 1;
    let mut house = house.restart().await;
    assert_eq!((house.world.level(), house.events()), (1, vec![]));
    let mut house = house.reboot().await;
    assert_eq!(house.world.level(), 7);
    let events = house.events();
    assert_eq!((events.len(), events[0].0, &events[0].1["changeset_id"]), (1, "config.put_back", &json!("two")));
    assert_eq!(events[0].1["config_hash"], section_hash(&json!({"level": 7})));
    // It is put back once, not at each start.
    *house.world.level.lock().unwrap() = 1;
    let house = house.restart().await;
    assert_eq!(house.world.level(), 1);
    // And after the next boot again, without the journal, which forgets its sets after a day.
    let names: Vec<String> = house.disk.list().unwrap().into_iter().filter(|name| name.ends_with(".set")).collect();
    names.iter().for_each(|name| house.disk.remove(name).unwrap());
    assert_eq!(house.reboot().await.world.level(), 7);
}

#[tokio::test]
async fn what_nobody_confirmed_is_undone_at_a_boot_and_never_put_back() {
    let mut house = House::forgetful().await;
    house.confirm("good", 5).await;
    assert!(ok(&house.set("b", "pending", 9).await));
    let mut house = house.reboot().await;
    assert_eq!((house.world.level(), house.state("pending").await.as_str()), (5, "rolled_back"));
    assert!(ok(&house.set("c", "taken back", 8).await));
    house.manage("changeset.rollback", "taken back").await.unwrap();
    assert_eq!(house.reboot().await.world.level(), 5);
}

#[tokio::test]
async fn what_comes_up_late_is_tried_again_and_a_lasting_failure_is_said_once() {
    let mut house = House::forgetful().await;
    house.confirm("one", 5).await;
    house.world.stuck.store(true, Ordering::SeqCst);
    let mut house = house.reboot().await;
    assert_eq!(house.world.level(), 0);
    let mut said = Vec::new();
    for _ in 0..10 {
        house.clock.pass(house.keeper.wake_in().expect("it will be tried again"));
        house.keeper.put_back().await;
        said.extend(house.events());
    }
    assert_eq!(said.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["config.put_back_failed"]);
    assert!(said[0].1["error"]["message"].as_str().unwrap().contains("not there yet"), "{said:?}");
    // A change that somebody makes meanwhile comes first.
    assert!(ok(&house.set("b", "other", 6).await));
    house.world.stuck.store(false, Ordering::SeqCst);
    house.clock.pass(Duration::from_secs(90));
    house.keeper.put_back().await;
    assert_eq!(house.world.level(), 6, "nothing is changed beneath a change that nobody confirmed yet");
    house.manage("changeset.commit", "other").await.unwrap();
    house.clock.pass(Duration::from_secs(600));
    house.keeper.put_back().await;
    assert_eq!((house.world.level(), house.keeper.wake_in()), (6, None));
}

#[tokio::test]
async fn a_power_cut_or_a_full_disk_at_any_step_of_a_confirmation_loses_nothing_that_was_confirmed() {
    let mut outcomes = BTreeSet::new();
    for trouble in [Trouble::CutLosing, Trouble::CutTorn, Trouble::Full] {
        for after in 0..9 {
            let mut house = House::forgetful().await;
            house.confirm("old", 3).await;
            assert!(ok(&house.set("b", "new", 7).await));
            house.trouble(after, trouble);
            let confirmed = house.manage("changeset.commit", "new").await.is_ok();
            let mut house = house.reboot().await;
            let state = house.state("new").await;
            assert_eq!(house.world.level(), if state == "committed" { 7 } else { 3 }, "{trouble:?} at step {after}: {state}");
            assert!(!confirmed || state == "committed", "{trouble:?} at step {after}");
            outcomes.insert(state);
        }
    }
    assert_eq!(outcomes, BTreeSet::from(["committed".to_owned(), "rolled_back".to_owned()]));
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_put_aside_and_said() {
    let mut house = House::forgetful().await;
    house.confirm("one", 5).await;
    house.disk.write("standing.kept", b"nonsense").unwrap();
    let mut house = house.restart().await;
    let events = house.events();
    assert_eq!((events[0].0, &events[0].1["file"]), ("changeset.journal_unreadable", &json!("standing.unreadable")));
    // The journal still knows it.
    let house = house.reboot().await;
    assert_eq!(house.world.level(), 5);
}
