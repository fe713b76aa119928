import { flag, numberBetween, parsed } from "../../../command-line/options.ts";
import { describeEstimate, estimate, MAX_CLUSTERS, MAX_USERS } from "../../sizing/estimate.ts";
import { SEED } from "../../sizing/tables.ts";
import { defineCommand } from "../command.ts";
import { EXIT_CODES } from "../exit-codes.ts";

export const sizing = defineCommand({
  options: {
    users: parsed("N", `people, 1 to ${MAX_USERS}`, numberBetween(1, MAX_USERS), "100"),
    clusters: parsed("N", `clusters, 1 to ${MAX_CLUSTERS}`, numberBetween(1, MAX_CLUSTERS), "1"),
    busyness: parsed(
      "X",
      "how much each person does, as a multiple of tools/sizing/assumptions.ts",
      numberBetween(0.01, 100, { isWhole: false }),
      "1",
    ),
    seed: parsed("N", "seed of the simulated day", numberBetween(0, 2 ** 32 - 1), String(SEED)),
    json: flag("print the estimate as JSON"),
  },
  notes: ["Prices, limits and usage profiles are data in tools/sizing/. No account and no network are needed."],
  run: async ({ users, clusters, busyness, seed, json }, { print }) => {
    const result = estimate({ users, clusters, busyness }, seed);
    print(json ? JSON.stringify(result, undefined, 2) : describeEstimate(result));
    return EXIT_CODES.done;
  },
});
