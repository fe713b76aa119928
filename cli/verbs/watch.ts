/** `watch`. */
import { requiredText } from "../../command-line/options.ts";
import { callApi } from "../api.ts";
import { EXIT_CODES } from "../failure.ts";
import { sessionPath } from "../session-path.ts";
import { findTarget, targetOptions } from "../target.ts";
import { defineVerb } from "../verb.ts";
import { CastReader, readEvent } from "../watch/cast-reader.ts";
import { HarmlessOutput } from "../watch/harmless-output.ts";

/** A terminal as it was before: colours, cursor, main screen, no reports of the mouse or of pastes. */
const RESET = "\u001b[0m\u001b[?25h\u001b[?1049l\u001b[?1000l\u001b[?1002l\u001b[?1003l\u001b[?1006l\u001b[?2004l";

export const watch = defineVerb({
  name: "watch",
  summary: "Shows somebody's live session as it goes on; for auditors and administrators",
  options: targetOptions,
  positionals: { id: requiredText("ID", 'the session\'s id, or its beginning, as "sessions --all" shows it') },
  notes: [
    "On a terminal it plays what the session shows, but for sequences that act on your terminal rather than on its " +
      "screen. Otherwise it prints the lines of the asciicast as they come. Ctrl-C leaves; the session goes on, unless a rule says that somebody must watch it.",
    "Watching is in the audit log of the session's user.",
  ],
  run: async ({ id, ...values }, surroundings) => {
    const target = await findTarget(values, surroundings, { isAdmin: true });
    const path = `${await sessionPath(id, target, true)}/watch`;
    const { isStdoutTerminal, write, print } = surroundings;
    const output = new HarmlessOutput();
    const play = (line: string) => {
      const event = readEvent(line);
      if (event?.code === "o") write(output.push(event.data));
    };
    const reader = new CastReader(isStdoutTerminal ? play : print);
    try {
      await callApi(target, { method: "GET", path, onPiece: (piece) => reader.push(piece) });
    } finally {
      if (isStdoutTerminal) write(RESET);
    }
    return EXIT_CODES.done;
  },
});
