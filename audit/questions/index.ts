/** All questions, in the order of docs/QUERIES.md. */
import { ACCESS } from "./access.ts";
import { COMPLETENESS } from "./completeness.ts";
import type { Question, Section } from "./question.ts";
import { REFUSALS } from "./refusals.ts";
import { WHAT_LEFT } from "./what-left.ts";
import { WHERE_FROM } from "./where-from.ts";
import { WHO_WAS_WHERE } from "./who-was-where.ts";

export const SECTIONS: readonly Section[] = [WHO_WAS_WHERE, WHERE_FROM, WHAT_LEFT, REFUSALS, ACCESS, COMPLETENESS];

/** @returns undefined where no question has this name */
export function findQuestion(name: string): Question | undefined {
  return SECTIONS.flatMap(({ questions }) => questions).find((question) => question.name === name);
}
