/** D1 takes so many bytes and no more: https://developers.cloudflare.com/d1/platform/limits/ */
export const MAX_DATABASE_BYTES = 10_000_000_000;
/**
 * From here on the log and the doctor warn. A deployment of 10,000 people still has about four weeks then.
 */
export const DATABASE_ALARM_BYTES = 6_000_000_000;
