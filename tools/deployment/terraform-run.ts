/** Runs Terraform in a deployment's stacks, each after those that it reads. */
import { execFile, spawn } from "node:child_process";
import { DEMO_STACK, EDGE_STACK, SECRETS_STACK } from "../../terraform/config/stack-names.ts";
import { OperatorError } from "./operator-error.ts";
import { explainPlanFailure, type PlanFailure } from "./plan-failure.ts";

/** Runs a program in this terminal. @returns its exit code */
export type RunProgram = (program: string, args: readonly string[]) => Promise<number>;

/** A child with this process's terminal: Terraform asks there before it changes anything. */
export const inTerminal: RunProgram = (program, args) =>
  new Promise((done, failed) => {
    const child = spawn(program, [...args], { stdio: "inherit" });
    child.once("error", (error: NodeJS.ErrnoException) => {
      failed(
        error.code === "ENOENT"
          ? new OperatorError(`there is no ${program}: install Terraform 1.10 or later, or set TERRAFORM=tofu`)
          : error,
      );
    });
    child.once("close", (code, signal) => done(code ?? (signal === null ? 1 : 130)));
  });

/** Runs a program and keeps what it prints. @returns its output, whatever its exit code */
export type AskProgram = (program: string, args: readonly string[]) => Promise<string>;

const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

export const inBackground: AskProgram = (program, args) =>
  new Promise((done) => {
    execFile(program, [...args], { maxBuffer: MAX_OUTPUT_BYTES }, (_error, stdout) => done(stdout));
  });

export interface TerraformRun {
  readonly program: string;
  /** Shows what would change, and changes nothing. */
  readonly isPlan: boolean;
  /** Asks nobody. */
  readonly isApproved: boolean;
}

/** What reads a stack comes after it. */
const ORDER: readonly string[] = [SECRETS_STACK, EDGE_STACK, DEMO_STACK];

/** @returns names of stacks in the order in which they are applied */
export function inOrder(stacks: readonly string[]): string[] {
  const rank = (stack: string) => (ORDER.includes(stack) ? ORDER.indexOf(stack) : ORDER.length);
  return [...stacks].sort((one, other) => rank(one) - rank(other) || one.localeCompare(other));
}

/** @returns the stacks whose outputs or resources a stack reads when it plans */
export function readBy(stack: string): readonly string[] {
  if (stack === EDGE_STACK) return [SECRETS_STACK];
  return stack === SECRETS_STACK || stack === DEMO_STACK ? [] : [EDGE_STACK, DEMO_STACK];
}

/**
 * Initializes a stack, with the versions of its lock file where there is one.
 *
 * @throws OperatorError where Terraform fails
 */
export async function initStack(folder: string, program: string, run: RunProgram): Promise<void> {
  const init = await run(program, [`-chdir=${folder}`, "init", "-input=false"]);
  if (init !== 0) throw new OperatorError(`"${program} -chdir=${folder} init" failed: see above`);
}

/** What `terraform plan -detailed-exitcode` ends with where something would change. */
const HAS_CHANGES = 2;

/**
 * Initializes and applies, or plans, one stack.
 *
 * @param folder with its JSON
 * @returns what a plan found. `failed` is not an error here: a stack that reads what another stack has still
 *   to make cannot be planned
 * @throws OperatorError where Terraform fails or the operator says no
 */
export async function runStack(
  folder: string,
  { program, isPlan, isApproved }: TerraformRun,
  run: RunProgram,
): Promise<"applied" | "changes" | "no changes" | "failed"> {
  await initStack(folder, program, run);
  if (isPlan) {
    const planned = await run(program, [`-chdir=${folder}`, "plan", "-input=false", "-detailed-exitcode"]);
    if (planned === HAS_CHANGES) return "changes";
    return planned === 0 ? "no changes" : "failed";
  }
  const options = isApproved ? ["-auto-approve", "-input=false"] : [];
  const done = await run(program, [`-chdir=${folder}`, "apply", ...options]);
  if (done === 0) return "applied";
  throw new OperatorError(
    `"${program} -chdir=${folder} apply" failed: see above. The stacks before it are done; run the command again to go on`,
  );
}

/**
 * Plans a stack again whose plan has failed, for a program to read why.
 *
 * @param unapplied the stacks that it reads and whose next apply changes something
 */
export async function askWhyPlanFailed(
  folder: string,
  program: string,
  unapplied: readonly string[],
  ask: AskProgram,
): Promise<PlanFailure> {
  return explainPlanFailure(await ask(program, [`-chdir=${folder}`, "plan", "-input=false", "-json"]), unapplied);
}
