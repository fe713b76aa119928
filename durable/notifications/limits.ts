/** Limits of notifications, ms where nothing else is said. docs/NOTIFICATIONS.md names them. */

/** How long one attempt may take. Standard Webhooks recommends 15 to 30 s. */
export const ANSWER_WITHIN_MS = 15_000;
/** A receiver that asks for more patience is asked again after this time. */
export const MAX_RETRY_AFTER_MS = 60 * 60_000;
/** How many notifications of one object wait for one destination. Beyond them, the log says more. */
export const MAX_WAITING = 100;
/** Nobody reacts to an older event: it is dropped. */
export const MAX_AGE_MS = 24 * 60 * 60_000;
/** How often a receiver may refuse one message as invalid before it is dropped and the next one is sent. */
export const MAX_REFUSALS = 10;
/** How long an event must have waited for D1 before anybody is told. Short outages end by themselves. */
export const STALLED_AFTER_MS = 5 * 60_000;
/** How often an object that cannot deliver says so. */
export const REPORT_OUTAGE_MS = 2 * 60_000;
/** Once no object has said so for this long, the outage is over. */
export const OUTAGE_OVER_AFTER_MS = 5 * 60_000;
