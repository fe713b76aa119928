import type { WatchEnd } from "../../audit/events.ts";
import { RateLimiter } from "../../common/rate-limiter.ts";
import { type Denial, denial } from "../../contract/denial.ts";
import { CAST_CONTENT_TYPE } from "../../contract/recording.ts";
import { CAST_SUBPROTOCOL, refuseWatch, type WatchRequest } from "../../contract/watch.ts";
import type { AuditLog } from "../audit-log.ts";
import type { LiveSession } from "../session/live-session.ts";
import type { OpenWatch, OpenWatches } from "../storage/open-watches.ts";
import { RoomMaker } from "./make-room.ts";
import { sallyportLine } from "./sallyport-line.ts";
import { standingOf } from "./standing.ts";
import { StreamSink } from "./stream-sink.ts";
import type { WatchFeed } from "./watch-feed.ts";
import type { WatchSink } from "./watch-sink.ts";
import { WebSocketSink } from "./web-socket-sink.ts";

export const MAX_WATCHERS_PER_SESSION = 10;
/** Of all sessions of an object: what each may leave unread is in its memory. */
const MAX_WATCHERS = 30;
/** Each watch is two events in the audit log, and players come back by themselves. */
const WATCHES_LIMIT = { maxPerWindow: 120, windowMs: 60_000 };

export interface WatchesParts {
  readonly audit: Pick<AuditLog, "appendUserEvent">;
  readonly open: OpenWatches;
  readonly session: (sessionId: string) => LiveSession | undefined;
  /** Whether a person is locked. Rejects where their object does not answer. */
  readonly isLocked: (user: string) => Promise<boolean>;
}

/** How often to ask whether a watcher has been locked, ms. The edge cuts streams within 10 s. */
const LOOK_EVERY_MS = 4_000;
/** The watch ends after so many questions in a row without an answer. */
const MAX_UNANSWERED = 2;

/** Those who watch sessions of this object. Each watch is in the audit log before anything is shown. */
export class Watches {
  readonly #parts: WatchesParts;
  readonly #rate = new RateLimiter(WATCHES_LIMIT);
  readonly #room = new RoomMaker();
  #count = 0;

  constructor(parts: WatchesParts) {
    this.#parts = parts;
  }

  /** Writes the ends of watches that an earlier life of the object left open. */
  endInterrupted(): void {
    for (const watch of this.#parts.open.all) this.#end(watch, "interrupted");
  }

  /**
   * Shows a live session.
   *
   * @param client whether it asks for a WebSocket, and what aborts when it leaves before it has an answer
   * @returns the 101 with the watcher's socket, the stream, or why not
   */
  async begin({ sessionId, watcher }: WatchRequest, client: Pick<Request, "headers" | "signal">): Promise<Response> {
    const hasRoom = () => this.#refusalOf(this.#parts.session(sessionId)?.feed) === undefined;
    if (!hasRoom()) await this.#room.make(hasRoom, () => this.#probe());
    if (client.signal.aborted) return refuseWatch(NOT_LIVE);
    const now = Date.now();
    const session = this.#parts.session(sessionId);
    const feed = session?.feed;
    if (!session || !feed) return refuseWatch(NOT_LIVE);
    const refused = this.#refusalOf(feed) ?? (this.#rate.tryAcquire(now) ? undefined : TOO_OFTEN);
    if (refused) return refuseWatch(refused);
    // By an edge of before, see contract/watch.ts.
    const isUpgrade = client.headers.get("Upgrade") === "websocket";
    const pair = isUpgrade ? new WebSocketPair() : undefined;
    if (pair && pair[1].bufferedAmount === undefined) return refuseWatch(UNMEASURED);

    const { user, moderation } = session.plan;
    const standing = moderation && standingOf(moderation.person, watcher);
    const { name: by, address: client_address, country } = watcher;
    const data = { user, session: sessionId, by, client_address, country };
    const id = this.#parts.audit.appendUserEvent({ type: "watch", data });
    const watch: OpenWatch = { id, session: sessionId, user, by, since: now };
    this.#parts.open.add(watch);
    this.#count++;

    const tell = (line: string) => session.plan.tellOfWatchers && session.relay?.notify({ line: sallyportLine(line) });
    const over = new AbortController();
    const end = (reason: WatchEnd["reason"]) => {
      if (over.signal.aborted) return;
      over.abort();
      this.#count--;
      this.#end(watch, reason);
      session.moderation?.leave(id, Date.now());
      tell(`${by} no longer watches this session`);
    };
    const leave = () => end("left");
    client.signal.addEventListener("abort", leave);
    const stream = pair ? undefined : new StreamSink(leave);
    const sink = stream ?? new WebSocketSink((pair as { 1: WebSocket })[1], leave);
    feed.add(sink, over.signal, end, standing?.notice);
    tell(`${by} watches this session`);
    if (standing?.counts && !over.signal.aborted) session.moderation?.join(id, by, now);
    // A lock of the session's own user ends the session.
    if (by !== user) void this.#cutOnLock(by, over.signal, () => end("locked"), sink);
    const headers = { "Content-Type": CAST_CONTENT_TYPE, "Cache-Control": "no-store" };
    if (stream) return new Response(stream.body, { headers });
    return new Response(null, {
      status: 101,
      webSocket: (pair as { 0: WebSocket })[0],
      headers: { "Sec-WebSocket-Protocol": CAST_SUBPROTOCOL },
    });
  }

  /** @returns why nobody more may watch; undefined where they may, or there is nothing to watch */
  #refusalOf(feed: WatchFeed | undefined): Denial | undefined {
    if (!feed) return undefined;
    if (feed.count >= MAX_WATCHERS_PER_SESSION) return TOO_MANY_HERE;
    return this.#count >= MAX_WATCHERS ? TOO_MANY : undefined;
  }

  /** Whoever has left is noticed by it. */
  #probe(): void {
    const watched = new Set([...this.#parts.open.all].map(({ session }) => session));
    for (const id of watched) this.#parts.session(id)?.feed?.probe();
  }

  async #cutOnLock(by: string, over: AbortSignal, end: () => void, sink: WatchSink): Promise<void> {
    for (let unanswered = 0; ; ) {
      await scheduler.wait(LOOK_EVERY_MS);
      if (over.aborted) return;
      const isLocked = await this.#parts.isLocked(by).catch(() => undefined);
      if (over.aborted) return;
      unanswered = isLocked === undefined ? unanswered + 1 : 0;
      if (!isLocked && unanswered < MAX_UNANSWERED) continue;
      end();
      sink.drop(isLocked ? "you are locked" : "nobody could tell whether you are locked", false);
      return;
    }
  }

  #end({ id, session, user, by, since }: OpenWatch, reason: WatchEnd["reason"]): void {
    this.#parts.open.remove(id);
    this.#parts.audit.appendUserEvent({ type: "watch_end", data: { user, session, by, watch: id, since, reason } });
  }
}

const NOT_LIVE = denial(
  "session_not_live",
  "the session is not live: it has ended, or is not open yet; its recording, if it has one, is at …/recording",
);
const UNMEASURED = denial(
  "watch_unavailable",
  "this version of workerd does not tell how much a watcher has read: ask without Upgrade",
);
const TOO_MANY_HERE = denial(
  "too_many_watchers",
  `${MAX_WATCHERS_PER_SESSION} people watch this session already, the most allowed: try again when one has left`,
);
const TOO_MANY = denial(
  "too_many_watchers",
  `${MAX_WATCHERS} people watch sessions of this user already, the most allowed: try again when one has left`,
);
const TOO_OFTEN = denial(
  "too_many_watchers",
  "sessions of this user were watched too often within a minute: try again in a minute",
);
