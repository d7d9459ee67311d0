/* What the files of the read side share; reader.h names its functions.
 * Thread: the reader's owner. */
#ifndef STORE_SQLITE_READER_PARTS_H
#define STORE_SQLITE_READER_PARTS_H

#include "store/sqlite/db.h"

struct store_reader {
    struct db db;
};

/* Index into the texts of reader.c, and for db_statement() of the reader's database. */
enum statement {
    FIND_BY_ID,
    FIND_BY_KEY,
    DUE,
    NEXT_DUE,
    DUE_COUNT,
    END_COUNT,
    INCIDENTS,
    REMIND,
    NEXT_REMIND,
    LIST,
    LIST_OF_OWNER,
    INTENTS,
    REPLY,
    EVENTS,
    DEVICES,
    CONSENT,
    COUNTS,
    LAST_SEQ,
    LAST_AT,
    SWEEP,
    SWEEPS,
    SWEEP_PARTS,
    RECEIPTS,
    ASKING,
    PRIOR,
    TALLY,
    TALLY_OF_OWNER,
    PAUSED,
    PRINCIPALS,
    SEALED_CONNECTIONS,
    SEALED_OF_OWNER,
    SEALED_INTENTS,
    SEALED_CONSENTS,
    SEALED_COUNT,
    TALLY_GIVEN,
    WAS_GIVEN,
    AUDIT_ROWS,
    GIVEN_OF,
    GIVEN_TO,
    AUDIT_ENDS,
    AUDIT_FIRST,
    AUDIT_LINK,
    AUDIT_ROLLBACKS,
    AUDIT_GONE,
    AUDIT_BACK,
    HOLD,
    LET_GO,
    STATEMENT_COUNT
};

#endif
