/** `sessions` and `end`. */
import { flag, oneOf, parsed, text } from "../../command-line/options.ts";
import { parseEnded, parseSessionList } from "../answers.ts";
import { callJson } from "../api.ts";
import { EXIT_CODES, PluginFailure } from "../failure.ts";
import { sessionPath } from "../session-path.ts";
import { sessionTable } from "../sessions.ts";
import { findTarget, targetOptions } from "../target.ts";
import { defineVerb } from "../verb.ts";

export const sessions = defineVerb({
  name: "sessions",
  summary: "Lists your live sessions, or everybody's",
  options: {
    ...targetOptions,
    all: flag("everybody's; requires the role auditor or admin, and a sign-in of its own"),
    user: text("EMAIL", "with --all: only this user's"),
    state: parsed("STATE", "with --all: live, ended or all", oneOf("live", "ended", "all"), "live"),
    limit: text("COUNT", "with --all: the most sessions to show (default: 100)"),
    json: flag("print the sessions as JSON, with all of their fields"),
  },
  run: async (values, surroundings) => {
    if (!values.all && (values.user !== undefined || values.limit !== undefined || values.state !== "live")) {
      throw new PluginFailure("usage", "--user, --state and --limit go with --all");
    }
    const target = await findTarget(values, surroundings, { isAdmin: values.all });
    const query = new URLSearchParams({
      state: values.state,
      ...(values.user !== undefined && { user: values.user }),
      ...(values.limit !== undefined && { limit: values.limit }),
    });
    const path = values.all ? `/-/admin/sessions?${query}` : "/-/sessions";
    const { items, next } = await callJson(target, { method: "GET", path }, parseSessionList);
    if (values.json) surroundings.print(JSON.stringify(items, null, 2));
    else if (items.length === 0) surroundings.note("There are none.");
    else surroundings.print(sessionTable(items, surroundings.now(), values.all));
    if (next) surroundings.note("There are more: use --limit.");
    return EXIT_CODES.done;
  },
});

export const end = defineVerb({
  name: "end",
  summary: "Ends a live session of yours, or as an administrator anybody's",
  options: {
    ...targetOptions,
    reason: text("TEXT", "why; the session's user reads it"),
    admin: flag(
      "anybody's session; requires the role admin, or to watch one that must be watched; a sign-in of its own",
    ),
    user: text("EMAIL", "with --admin: all live sessions of this user, instead of one"),
  },
  positionals: { id: text("ID", 'the session\'s id, or its beginning, as "sessions" shows it') },
  run: async (values, surroundings) => {
    if (values.user !== undefined && !values.admin) throw new PluginFailure("usage", "--user goes with --admin");
    if ((values.user === undefined) === (values.id === undefined)) {
      throw new PluginFailure(
        "usage",
        values.user === undefined ? "name a session: ID" : "give ID or --user, not both",
      );
    }
    const target = await findTarget(values, surroundings, { isAdmin: values.admin });
    const path =
      values.user === undefined
        ? await sessionPath(values.id ?? "", target, values.admin)
        : `/-/admin/users/${encodeURIComponent(values.user)}/sessions`;
    const body = values.reason === undefined ? {} : { body: { reason: values.reason } };
    const ended = await callJson(target, { method: "DELETE", path, ...body }, parseEnded);
    surroundings.print(ended.length === 1 ? `Ended ${ended[0]}.` : `Ended ${ended.length} sessions.`);
    return EXIT_CODES.done;
  },
});
