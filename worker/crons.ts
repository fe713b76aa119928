/** The cron triggers of the edge. */

/**
 * What is removed from the document ends within this. Cloudflare has no shorter interval. Every other trigger
 * is for the export and the sealing.
 */
export const REMOVED_ACCESS_CRON = "* * * * *";
