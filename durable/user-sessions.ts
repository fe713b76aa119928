import { DurableObject } from "cloudflare:workers";
import { logEvent } from "../common/log.ts";
import { ok, type Result } from "../common/result.ts";
import type { Denial } from "../contract/denial.ts";
import { detachSessionPlan } from "../contract/session-plan.ts";
import {
  answerCall,
  type UserObjectAnswer,
  type UserObjectFields,
  type UserObjectMethod,
  type UserObjectValue,
} from "../contract/user-object.ts";
import { isWatchRequest, readWatchRequest, refuseWatch } from "../contract/watch.ts";
import type { ObjectsBindings } from "./bindings.ts";
import { refusalOf, toResponse } from "./refusal.ts";
import { SessionHost } from "./session-host.ts";
import { openStorage, retryNewerSchema } from "./storage/open-storage.ts";

/**
 * The Durable Object of one user. It parses what the edge sends and brings its database to the current
 * schema; all else is `SessionHost`. contract/user-object.ts describes the methods.
 */
export class UserSessions extends DurableObject<ObjectsBindings> {
  /** Or why it serves nobody. */
  readonly #host: Result<SessionHost, Denial>;

  constructor(ctx: DurableObjectState, env: ObjectsBindings) {
    super(ctx, env);
    this.#host = openStorage(ctx.storage, () => new SessionHost(ctx, env));
  }

  /** One session attempt from the edge, or somebody who watches a session. */
  override async fetch(request: Request): Promise<Response> {
    if (isWatchRequest(request)) return this.#watch(request);
    const detached = detachSessionPlan(request);
    if (!detached.ok) {
      logEvent("error", "contract_mismatch", { method: "fetch", detail: detached.error.detail });
      return toResponse(refusalOf(detached.error));
    }
    if (!this.#host.ok) return toResponse(refusalOf(this.#host.error));
    const { url, signal } = request;
    return this.#host.value.attempt({ ...detached.value, url, signal });
  }

  list(argument: unknown): UserObjectAnswer<"list"> {
    return this.#answer("list", argument, (host) => host.list());
  }

  describe(argument: unknown): UserObjectAnswer<"describe"> {
    return this.#answer("describe", argument, (host, { sessionId }) => host.describe(sessionId));
  }

  terminate(argument: unknown): UserObjectAnswer<"terminate"> {
    return this.#answer("terminate", argument, (host, { sessionId, by, reason }) =>
      host.terminate(sessionId, by, reason),
    );
  }

  endWatched(argument: unknown): UserObjectAnswer<"endWatched"> {
    return this.#answer("endWatched", argument, (host, fields) => host.endWatched(fields));
  }

  terminateAll(argument: unknown): UserObjectAnswer<"terminateAll"> {
    return this.#answer("terminateAll", argument, (host, { by, reason }) => host.terminateAll(by, reason));
  }

  lock(argument: unknown): UserObjectAnswer<"lock"> {
    return this.#answer("lock", argument, ({ decisions }, { lock, isAudited }) => decisions.lockHere(lock, isAudited));
  }

  unlock(argument: unknown): UserObjectAnswer<"unlock"> {
    return this.#answer("unlock", argument, ({ decisions }, { isAudited, ...command }) =>
      decisions.unlockHere(command, isAudited),
    );
  }

  currentLock(argument: unknown): UserObjectAnswer<"currentLock"> {
    return this.#answer("currentLock", argument, ({ decisions }) => decisions.currentLock());
  }

  decideLock(argument: unknown): Promise<UserObjectAnswer<"decideLock">> {
    return this.#answerLater("decideLock", argument, ({ decisions }, { lock, copyTo }) => decisions.lock(lock, copyTo));
  }

  decideUnlock(argument: unknown): Promise<UserObjectAnswer<"decideUnlock">> {
    return this.#answerLater("decideUnlock", argument, ({ decisions }, { copyTo, ...command }) =>
      decisions.unlock(command, copyTo),
    );
  }

  decideReason(argument: unknown): Promise<UserObjectAnswer<"decideReason">> {
    return this.#answerLater("decideReason", argument, ({ decisions }, { user, copyTo, ...stated }) =>
      decisions.stateReason(user, stated, copyTo),
    );
  }

  requestAccess(argument: unknown): Promise<UserObjectAnswer<"requestAccess">> {
    return this.#decide("requestAccess", argument, ({ access }, fields) => access.request(fields));
  }

  listAccess(argument: unknown): UserObjectAnswer<"listAccess"> {
    return this.#answer("listAccess", argument, ({ access }) => access.list());
  }

  describeAccess(argument: unknown): UserObjectAnswer<"describeAccess"> {
    return this.#answer("describeAccess", argument, ({ access }, { id }) => access.describe(id));
  }

  decideAccess(argument: unknown): Promise<UserObjectAnswer<"decideAccess">> {
    return this.#decide("decideAccess", argument, ({ access }, fields) => access.decide(fields));
  }

  endAccess(argument: unknown): Promise<UserObjectAnswer<"endAccess">> {
    return this.#decide("endAccess", argument, ({ access }, fields) => access.end(fields));
  }

  copyState(argument: unknown): UserObjectAnswer<"copyState"> {
    return this.#answer("copyState", argument, ({ decisions }, { state }) => decisions.takeCopy(state));
  }

  readState(argument: unknown): UserObjectAnswer<"readState"> {
    return this.#answer("readState", argument, ({ decisions }) => decisions.state);
  }

  describeLock(argument: unknown): UserObjectAnswer<"describeLock"> {
    return this.#answer("describeLock", argument, ({ decisions }) => decisions.describeLock());
  }

  showMessage(argument: unknown): UserObjectAnswer<"showMessage"> {
    return this.#answer("showMessage", argument, (host, { sessionId, by, text }) =>
      host.showMessage(sessionId, by, text),
    );
  }

  readRecording(argument: unknown): UserObjectAnswer<"readRecording"> {
    return this.#answer("readRecording", argument, (host, { sessionId, offset }) =>
      host.readRecording(sessionId, offset),
    );
  }

  async recordRequest(argument: unknown): Promise<UserObjectAnswer<"recordRequest">> {
    return answerCall(
      "recordRequest",
      argument,
      async (fields): Promise<UserObjectAnswer<"recordRequest">> =>
        this.#host.ok ? this.#host.value.recordRequest(fields) : this.#host,
    );
  }

  recordResponse(argument: unknown): Promise<UserObjectAnswer<"recordResponse">> {
    return this.#answerLater("recordResponse", argument, async (host, fields) => {
      await host.recordResponse(fields);
      return null;
    });
  }

  override async alarm(): Promise<void> {
    if (this.#host.ok) await this.#host.value.onAlarm();
    else await retryNewerSchema(this.ctx.storage);
  }

  async #watch(request: Request): Promise<Response> {
    const watch = readWatchRequest(request);
    if (!watch.ok) {
      logEvent("error", "contract_mismatch", { method: "watch", detail: watch.error.detail });
      return refuseWatch(watch.error);
    }
    return this.#host.ok ? this.#host.value.watch(watch.value, request) : refuseWatch(this.#host.error);
  }

  #answer<M extends UserObjectMethod>(
    method: M,
    argument: unknown,
    answer: (host: SessionHost, fields: UserObjectFields<M>) => UserObjectValue<M>,
  ): UserObjectAnswer<M> {
    return answerCall(method, argument, (fields) =>
      this.#host.ok ? ok(answer(this.#host.value, fields)) : this.#host,
    );
  }

  #answerLater<M extends UserObjectMethod>(
    method: M,
    argument: unknown,
    answer: (host: SessionHost, fields: UserObjectFields<M>) => Promise<UserObjectValue<M>>,
  ): Promise<UserObjectAnswer<M>> {
    return this.#decide(method, argument, async (host, fields) => ok(await answer(host, fields)));
  }

  /** @param answer which may refuse */
  async #decide<M extends UserObjectMethod>(
    method: M,
    argument: unknown,
    answer: (host: SessionHost, fields: UserObjectFields<M>) => Promise<UserObjectAnswer<M>>,
  ): Promise<UserObjectAnswer<M>> {
    return answerCall(
      method,
      argument,
      async (fields): Promise<UserObjectAnswer<M>> =>
        this.#host.ok ? await answer(this.#host.value, fields) : this.#host,
    );
  }
}
