//! The approval card and its sentences, in the language of the set.

use super::{Changeset, Measurement, OperationState, Status};
use talkwire_proto::chat::{ChangesetView, OperationView};
use talkwire_proto::text;

/// Longest reason of a device that is shown, in characters.
const REASON_CHARS: usize = 200;

/// A measured value for people, for example `18 Mbps`.
pub fn measured(measurement: &Measurement) -> String {
    let value = measurement.value;
    let number = if value.abs() >= 10.0 { format!("{value:.0}") } else { format!("{value:.1}") };
    format!("{number} {}", measurement.unit).trim_end().to_owned()
}

/// The sentence for the way a set ends or goes back.
pub(super) fn outcome_text(set: &Changeset, kind: &str) -> String {
    let pick = |zh_tw: &str, zh_cn: &str, en: &str| set.language.pick(zh_tw, zh_cn, en).to_owned();
    let change = match (&set.before, &set.after) {
        (Some(before), Some(after)) => format!("{} → {}", measured(before), measured(after)),
        _ => String::new(),
    };
    match kind {
        "kept" => pick("已保留：", "已保留：", "kept: ") + &change,
        "kept_unmeasured" => pick("已保留，每台裝置都已確認。", "已保留，每台设备都已确认。", "kept; every device confirmed it"),
        "done_no_gain" => {
            pick("已執行，但沒有改善", "已执行，但没有改善", "done, but without gain")
                + &if change.is_empty() { String::new() } else { format!(" ({change})") }
                + &pick("；沒有東西需要復原", "；没有东西需要还原", "; there is nothing to put back")
        }
        "done_not_measured" => pick(
            "已執行，但沒辦法量到結果；沒有東西需要復原",
            "已执行，但没法测到结果；没有东西需要还原",
            "done, but the result could not be measured; there is nothing to put back",
        ),
        "no_gain" => pick("已復原：沒有改善", "已还原：没有改善", "undone: no gain") + &if change.is_empty() { String::new() } else { format!(" ({change})") },
        "not_measured" => pick("已復原：沒辦法量到結果", "已还原：没法测到结果", "undone: the result could not be measured"),
        "apply_failed" => pick("已復原：裝置沒有套用成功", "已还原：设备没有应用成功", "undone: a device did not apply it") + &reason(set),
        "prepare_failed" => pick("沒有變更：裝置沒有準備好", "没有更改：设备没有准备好", "nothing was changed: a device was not ready") + &reason(set),
        "deadline" => pick("已復原：時間到了沒有確認", "已还原：到时间没有确认", "undone: nobody confirmed it in time"),
        "connection_lost" => pick("已復原：和裝置失去連線", "已还原：和设备失去连接", "undone: the link to a device was lost"),
        "restart" => pick("已復原：裝置重新啟動過", "已还原：设备重启过", "undone: a device restarted"),
        "by_person" => pick("已照您的意思復原", "已按您的意思还原", "undone, as you asked"),
        "undone" => pick("已照您的意思改回原來的設定", "已按您的意思改回原来的设置", "changed back to what it was, as you asked"),
        "rejected" => pick("好的，什麼都沒有改。", "好的，什么都没有改。", "all right, nothing was changed"),
        "expired" => pick("沒有人同意，提議已失效。什麼都沒有改。", "没有人同意，提议已失效。什么都没有改。", "nobody agreed in time; nothing was changed"),
        other => other.to_owned(),
    }
}

/// What the first device that refused gave as its reason, to follow a sentence.
fn reason(set: &Changeset) -> String {
    let told = set.operations.iter().find_map(|operation| operation.error.as_deref().map(|error| (&operation.device_name, error)));
    told.map(|(name, error)| format!(" ({name}: {})", text::shown(error, REASON_CHARS))).unwrap_or_default()
}

/// The card as it stands now.
pub fn view(set: &Changeset) -> ChangesetView {
    let pick = |zh_tw: &str, zh_cn: &str, en: &str| set.language.pick(zh_tw, zh_cn, en).to_owned();
    let guarded = set.operations.iter().all(|operation| operation.undoes_itself);
    let clock = format!("{}:{:02}", set.rollback_s / 60, set.rollback_s % 60);
    let undo = if set.restores_nothing() {
        pick(
            "做過就做過了，不能復原；也不會留下設定要改回來。",
            "做过就做过了，不能还原；也不会留下设置要改回来。",
            "Once done it cannot be undone, and it leaves no setting to put back.",
        )
    } else if guarded {
        pick("如果沒有確認，或連線中斷，", "如果没有确认，或连接中断，", "If nobody confirms, or the link is lost, it goes back by itself after ")
            + &clock
            + &pick(" 後會自己復原。", " 后会自己还原。", ".")
    } else {
        pick(
            "這台裝置不會自己復原；Talkwire 會在時間到時替它改回來。",
            "这台设备不会自己还原；Talkwire 会在到时间时替它改回来。",
            "This device cannot undo by itself; Talkwire changes it back when the time is over.",
        )
    };
    let operations = set.operations.iter().map(|operation| OperationView {
        device_id: operation.key.device_id.to_string(),
        device_name: operation.device_name.clone(),
        op: operation.op.clone(),
        label: operation.label.clone(),
        before: operation.before_text.clone(),
        after: operation.after_text.clone(),
        undoes_itself: operation.undoes_itself && !operation.restores_nothing,
    });
    let outcome = set.outcome.as_ref().filter(|_| set.status.has_ended()).or(set.going_back.as_ref());
    let failed = set.operations.iter().find(|operation| operation.state == OperationState::RestoreFailed).and_then(|operation| operation.error.clone());
    let trouble = (set.status == Status::RollbackFailed).then(|| {
        pick("還沒有復原，正在重試：", "还没有还原，正在重试：", "not undone yet, trying again: ")
            + &failed.or_else(|| set.history.last().map(|line| line.why.clone())).unwrap_or_default()
    });
    ChangesetView {
        changeset_id: set.changeset_id.clone(),
        status: set.status.word().into(),
        plan_hash: set.plan_hash.clone(),
        operations: operations.collect(),
        expect: set.expect.as_ref().map_or_else(String::new, |expect| expect.text.clone()),
        impact: set.impact.clone(),
        undo,
        risk: set.risk.word().into(),
        needs_admin: set.needs_admin,
        deadline_ms: if set.status == Status::Proposed { Some(set.approve_before_ms) } else { set.deadline_ms },
        before: set.before.as_ref().map(measured),
        after: set.after.as_ref().map(measured),
        outcome: trouble.or_else(|| outcome.map(|outcome| outcome.text.clone())),
        has_receipt: set.has_receipt,
    }
}
