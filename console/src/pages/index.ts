/** The console's pages. A new one is an entry here: see ../../README.md. */
import lazy from "preact-iso/lazy";
import { isAuditor } from "../me.ts";
import type { Page } from "./page.ts";

export const PAGES: readonly Page[] = [
  {
    path: "/live",
    title: "Live",
    component: lazy(() => import("./live.tsx").then(({ LivePage }) => LivePage)),
    isFor: isAuditor,
  },
  {
    path: "/sessions",
    title: "Sessions",
    component: lazy(() => import("./sessions.tsx").then(({ SessionsPage }) => SessionsPage)),
    // Who has no role sees their own.
    isFor: () => true,
  },
  {
    path: "/sessions/:id",
    title: "Session",
    component: lazy(() => import("./session.tsx").then(({ SessionPage }) => SessionPage)),
    isFor: () => true,
    isListed: false,
  },
  {
    path: "/requests",
    title: "API requests",
    component: lazy(() => import("./requests.tsx").then(({ RequestsPage }) => RequestsPage)),
    isFor: () => true,
  },
  {
    path: "/approvals",
    title: "Approvals",
    component: lazy(() => import("./approvals.tsx").then(({ ApprovalsPage }) => ApprovalsPage)),
    // Who decides nothing has requests of their own.
    isFor: () => true,
  },
  {
    path: "/approvals/:id",
    title: "Request for access",
    component: lazy(() => import("./approval.tsx").then(({ ApprovalPage }) => ApprovalPage)),
    isFor: () => true,
    isListed: false,
  },
  {
    path: "/people",
    title: "People",
    component: lazy(() => import("./people.tsx").then(({ PeoplePage }) => PeoplePage)),
    isFor: isAuditor,
  },
  {
    path: "/people/:email",
    title: "Person",
    component: lazy(() => import("./person.tsx").then(({ PersonPage }) => PersonPage)),
    // Who has no role sees their own.
    isFor: () => true,
    isListed: false,
  },
  {
    path: "/questions",
    title: "Questions",
    component: lazy(() => import("./questions.tsx").then(({ QuestionsPage }) => QuestionsPage)),
    isFor: isAuditor,
  },
  {
    path: "/questions/:name",
    title: "Question",
    component: lazy(() => import("./question.tsx").then(({ QuestionPage }) => QuestionPage)),
    isFor: isAuditor,
    isListed: false,
  },
  {
    path: "/rules",
    title: "Rules",
    component: lazy(() => import("./rules.tsx").then(({ RulesPage }) => RulesPage)),
    isFor: isAuditor,
  },
  {
    path: "/rules/try",
    title: "What would happen if",
    component: lazy(() => import("./try.tsx").then(({ TryPage }) => TryPage)),
    isFor: isAuditor,
    isListed: false,
  },
  {
    path: "/health",
    title: "Health",
    component: lazy(() => import("./health.tsx").then(({ HealthPage }) => HealthPage)),
    isFor: isAuditor,
  },
];
