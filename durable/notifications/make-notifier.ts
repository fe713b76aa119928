import type { Alarm } from "../alarm.ts";
import { WaitingNotifications } from "../storage/waiting-notifications.ts";
import type { Webhooks } from "./configuration.ts";
import { Notifier } from "./notifier.ts";
import { post } from "./post.ts";

/** Makes the notifier of an object whose database has the current schema. */
export function makeNotifier(state: DurableObjectState, alarm: Alarm, webhooks: Webhooks): Notifier {
  const waitUntil = (work: Promise<unknown>) => state.waitUntil(work);
  return new Notifier({
    ...{ webhooks, alarm, post, waitUntil, random: Math.random },
    waiting: new WaitingNotifications(state.storage.sql),
  });
}
