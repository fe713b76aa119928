/** Makes each fault of the matrix happen. */

import { abortAllDurableObjects, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { vi } from "vitest";
import type { ConfigInput } from "../../worker/config/schema.ts";
import { eventually } from "../support/eventually.ts";
import type { Fault, Moment } from "../support/fault-matrix.ts";
import { askUserObject } from "./ask-user-object.ts";
import { endedOf } from "./audit-rows.ts";
import { frame } from "./client.ts";
import { admin, as } from "./people.ts";
import type { Stage } from "./stage.ts";
import { shortenTimer } from "./timers.ts";

export interface Strike {
  /** Configuration that differs from the tests' usual one. */
  readonly config?: Partial<ConfigInput>;
  readonly canClientStall?: true;
  /** Before the session is attempted. */
  before?(moment: Moment): void;
  /** Called at the moment. Resolves when the fault is over. */
  now(stage: Stage, moment: Moment): Promise<void>;
}

const LIMITS = {
  maxSessionsPerUser: 3,
  idleTimeoutSeconds: 600,
  maxDurationSeconds: 3600,
  stallTimeoutSeconds: 30,
  maxBufferedStdinBytes: 0,
};
const STALLING = { limits: { ...LIMITS, stallTimeoutSeconds: 1, maxBufferedStdinBytes: 64 * 1024 * 1024 } };
/** 10 MB: more than a connection takes although nobody reads. */
const UNREAD_MESSAGES = 100;
const RECORDING = {
  mode: "output",
  onFailure: "continue",
  onFull: "continue",
  maxBytes: 64 * 1024 * 1024,
} as const;
/** How long the cluster may take to answer the upgrade, in durable/dial.ts. */
const CONNECT_TIMEOUT_MS = 40_000;

export const STRIKES: Readonly<Record<Exclude<Fault, "workerd killed">, Strike>> = {
  "upstream refuses": {
    async now({ pod }) {
      pod.refuse(403, JSON.stringify({ kind: "Status", status: "Failure", code: 403, message: "RBAC says no" }), {
        "Content-Type": "application/json",
      });
    },
  },
  "upstream dies": {
    async now({ pod }) {
      pod.crash();
    },
  },
  "upstream stalls": {
    config: STALLING,
    before(moment) {
      if (moment === "dialling") shortenTimer(CONNECT_TIMEOUT_MS, 300);
    },
    async now(stage, moment) {
      if (moment === "dialling") return;
      stage.pod.stall(15_000);
      await stage.atClient((client) => {
        // The command has ended, and the client's close must not come after a stall.
        const messages = moment === "during close" ? 1 : UNREAD_MESSAGES;
        for (let i = 0; i < messages; i++) client.send(frame(0, new Uint8Array(100_000)));
        if (moment === "during close") client.close(1000);
      });
    },
  },
  "client dies": {
    async now({ leaving }) {
      leaving.abort();
    },
  },
  "client stalls": {
    config: STALLING,
    canClientStall: true,
    async now(stage, moment) {
      await stage.stopReading();
      for (let i = 0; i < 20; i++) stage.pod.send(frame(1, new Uint8Array(100_000).fill(0x78)));
      if (moment === "during close") stage.pod.close(1000);
      await eventually(async () => {
        if ((await askUserObject(stage.object, "list", {})).length > 0) throw new Error("the session is still open");
      });
      stage.readOn();
    },
  },
  "D1 fails, policy buffer": d1Fails("buffer"),
  "D1 fails, policy fail-closed": d1Fails("fail-closed"),
  "R2 fails": {
    config: { recording: { ...RECORDING, onFailure: "end" } },
    async now(stage, moment) {
      const faults = (["put", "head", "get", "createMultipartUpload"] as const).map((method) =>
        vi.spyOn(env.RECORDINGS, method).mockRejectedValue(new Error("internal error; please try again (10001)")),
      );
      await stage.goOnToTheEnd(moment);
      await eventually(() => {
        if (faults[0]?.mock.calls.length === 0) throw new Error("R2 was not called");
      });
      const [row] = await endedOf(stage.person.email, 1);
      const meanwhile = await as(admin, `/-/admin/sessions/${row?.id}/recording`);
      if (!meanwhile.ok) throw new Error(`while R2 is away the recording is answered with ${meanwhile.status}`);
      await meanwhile.arrayBuffer();
      for (const fault of faults) fault.mockRestore();
      await stage.ring();
    },
  },
  "object aborted": {
    async now(stage, moment) {
      if (moment === "mid-stream" || moment === "during close") await spooled(stage);
      await abortAllDurableObjects();
      await stage.ring();
    },
  },
  "limit reached": {
    // Long enough for a busy machine to reach the moment.
    config: { limits: { ...LIMITS, idleTimeoutSeconds: 4 } },
    async now() {
      // The session is idle from now on.
    },
  },
  "killed by admin": {
    async now({ person }) {
      const answer = await as(admin, `/-/admin/users/${person.email}/sessions?reason=because`, { method: "DELETE" });
      const { ended } = await answer.json<{ ended: string[] }>();
      if (ended.length !== 1) throw new Error(`${ended.length} sessions were ended, not 1`);
    },
  },
};

function d1Fails(onOutage: "buffer" | "fail-closed"): Strike {
  const repair = async () => {
    const fault = vi.mocked(env.AUDIT_DB.batch);
    // What follows a session's end is delivered a moment after it.
    await eventually(() => {
      if (fault.mock.calls.length === 0) throw new Error("D1 was not called");
    });
    fault.mockRestore();
  };
  const breakIt = () => void vi.spyOn(env.AUDIT_DB, "batch").mockRejectedValue(new Error("D1_ERROR: internal error"));
  return {
    config: { audit: { onOutage, maxQueuedEvents: 5_000 } },
    before(moment) {
      if (moment === "dialling") breakIt();
    },
    async now(stage, moment) {
      if (moment !== "dialling") breakIt();
      if (!stage.refusal) await stage.goOnToTheEnd(moment);
      await stage.ring();
      await repair();
      await stage.ring();
    },
  };
}

/** Waits until the output is on the object's disk: a crash may lose the last second. */
function spooled(stage: Stage): Promise<void> {
  return eventually(() =>
    runInDurableObject(stage.object, (_, { storage }) => {
      if (storage.sql.exec("SELECT 1 FROM recording_chunks").toArray().length === 0) throw new Error("not on disk");
    }),
  );
}
