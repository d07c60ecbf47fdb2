/** Runs before each test file. */
import { afterAll } from "vitest";
import { removeHome } from "./environment.ts";

afterAll(removeHome);
