import type { SpdyFrame } from "../../kubernetes/spdy/frames.ts";
import type { SpdyHeaders } from "../../kubernetes/spdy/header-block.ts";
import type { Random } from "./random.ts";

const NAMES = ["streamtype", "port", "requestid", "x", "x-2", "a-rather-long-name-of-a-header"] as const;
const VALUES = ["error", "data", "8080", "0", "", "naïve \u{1F6AA}", "\uFEFFx", "v".repeat(100)] as const;

/** A frame of any type. Ids and headers need not be consistent, because a parser does not check that. */
export function randomFrame(random: Random): SpdyFrame {
  const streamId = random.pick([1, 3, 5, 7, 0x7fff_ffff, random.uint32() >>> 1]);
  if (random.chance(0.8)) {
    return { type: "DATA", streamId, fin: random.chance(0.1), data: random.bytes(random.length(20_000)) };
  }
  const fin = random.chance(0.2);
  switch (random.below(24)) {
    case 0:
      return {
        ...{ type: "SYN_STREAM", streamId, associatedStreamId: random.uint32() >>> 1, priority: random.below(8) },
        ...{ fin, unidirectional: random.chance(0.2), headers: randomHeaders(random) },
      };
    case 1:
      return { type: "SYN_REPLY", streamId, fin, headers: randomHeaders(random) };
    case 2:
      return { type: "HEADERS", streamId, fin, headers: randomHeaders(random) };
    case 3:
      return { type: "RST_STREAM", streamId, status: random.uint32() };
    case 4: {
      const settings = Array.from({ length: random.below(4) }, () => ({
        ...{ flags: random.below(256), id: random.below(0x1_00_00_00), value: random.uint32() },
      }));
      return { type: "SETTINGS", clearPersisted: random.chance(0.5), settings };
    }
    case 5:
      return { type: "GOAWAY", lastStreamId: streamId, status: random.uint32() };
    case 6:
      return { type: "WINDOW_UPDATE", streamId, delta: random.uint32() >>> 1 };
    default:
      // After DATA the most frequent of kubectl's frames.
      return { type: "PING", id: random.uint32() };
  }
}

/** Values of one name follow each other, as they do on the wire. */
function randomHeaders(random: Random): SpdyHeaders {
  return NAMES.filter(() => random.chance(0.4)).flatMap((name) =>
    Array.from({ length: 1 + random.below(2) }, (): [string, string] => [name, random.pick(VALUES)]),
  );
}
