/* Which function makes which change, and its row in the audit log. */
#include <assert.h>

#include "store/sqlite/apply.h"

typedef int apply_fn(struct store_writer *writer, struct store_change *change);

static apply_fn *const functions[] = {
    [CHANGE_CREATE] = apply_create,
    [CHANGE_PUT] = apply_put_consented,
    [CHANGE_UPDATE] = apply_update,
    [CHANGE_MOVE] = apply_move,
    [CHANGE_INVALIDATE] = apply_invalidate,
    [CHANGE_PLAN] = apply_plan,
    [CHANGE_REPLAN] = apply_replan,
    [CHANGE_INTENT] = apply_intent,
    [CHANGE_REPLY] = apply_reply,
    [CHANGE_REFRESHED] = apply_refreshed,
    [CHANGE_FAILED] = apply_failed,
    [CHANGE_INCIDENT] = apply_incident,
    [CHANGE_TRIM] = apply_trim,
    [CHANGE_REMIND] = apply_remind,
    [CHANGE_CONSENT] = apply_consent,
    [CHANGE_CONSENTED] = apply_consented,
    [CHANGE_SWEEP] = apply_sweep,
    [CHANGE_SWEEP_STEP] = apply_sweep_step,
    [CHANGE_RECEIPT] = apply_receipt,
    [CHANGE_SWEEP_CANCEL] = apply_sweep_cancel,
    [CHANGE_PAUSE] = apply_pause,
    [CHANGE_PRINCIPAL] = apply_principal,
    [CHANGE_SUSPECT] = apply_suspect,
    [CHANGE_SEALED] = apply_sealed,
    [CHANGE_SHRED] = apply_shred,
    [CHANGE_AUDIT] = apply_audit,
    [CHANGE_AUDIT_TRIM] = apply_audit_trim,
};
static_assert(sizeof functions / sizeof functions[0] == CHANGE_TYPE_END, "one function a change");

int apply_change(struct store_writer *writer, struct store_change *change)
{
    change->event_seq = 0;
    writer->about = (struct audit_about){0};
    int result = functions[change->type](writer, change);
    return result == 0 ? apply_audit_change(writer, change) : result;
}
