// The API described for machines: OpenAPI 3.1, made from the catalogue and its schemas, so that it
// can't say anything else than the routes do. In: the catalogue. Out: a document as plain JSON.
// Never written by hand beyond the routes that no question stands behind.
import { z } from "zod";
import { formatParam, MEDIA_TYPES } from "./questions.ts";
import { paramInfo, type ParamSchema, paramSchema } from "../queries/params.ts";
import { PAGING_PARAMS, type Query } from "../queries/query.ts";

/** A piece of the document. */
export type Json = Readonly<Record<string, unknown>>;

/** The document. */
export interface OpenApiDocument extends Json {
  openapi: string;
  info: Json & { title: string; version: string };
  paths: Readonly<Record<string, { get: Operation }>>;
  components: Json & { schemas: Readonly<Record<string, Json>> };
}

/** What one path answers to GET. */
export interface Operation extends Json {
  operationId: string;
  tags: readonly string[];
  summary: string;
  description?: string;
  parameters?: readonly Parameter[];
  responses: Readonly<Record<string, Json>>;
}

/** A parameter of a question; the common ones are there as they are, not by reference. */
export interface Parameter extends Json {
  name: string;
  in: "query";
  required: boolean;
  description: string;
  schema: ParamSchema;
  /** As the schema has it: a list for a list. */
  example?: unknown;
}

const problemSchema = z.object({
  type: z.string().describe("Always about:blank: the status says what kind of problem it is"),
  title: z.string().describe("What is wrong, in one sentence"),
  status: z.int().describe("The HTTP status"),
  detail: z.string().optional().describe("What the client can do about it"),
  problems: z.array(z.object({
    field: z.string().describe("The parameter"),
    problem: z.string().describe("A phrase that says what it must be"),
  })).optional().describe("Each parameter that is wrong"),
  next: z.string().optional().describe("A cursor that skips the row that is too large"),
}).describe("RFC 9457");

const PROBLEMS: Readonly<Record<string, string>> = {
  "400": "A parameter is wrong; all that are wrong are named at once",
  "422": "The answer can't be had within the bounds",
  "429": "Too many requests from this address",
  "503": "The database is away, too much is asked at once, or the server stops; see Retry-After",
  "504": "The answer takes too long; a narrower question may do",
};

const REQUEST_ID: Json = {
  schema: { type: "string" },
  description: "Names this request in our log; as the request's own X-Request-Id said, if it did",
};

const RATE_HEADERS: Readonly<Record<string, Json>> = {
  "RateLimit-Limit": header("Requests that one address has in a window"),
  "RateLimit-Remaining": header("Requests that may follow at once"),
  "RateLimit-Reset": header("Seconds until the whole limit is there again"),
};

/** The document for this catalogue. */
export function openApiDocument(
  catalogue: readonly Query[],
  about: { name: string; version: string },
): OpenApiDocument {
  const paths: Record<string, { get: Operation }> = {
    "/": state("who", "Who answers, and how each stage fares", "application/json"),
    "/health": state("health", "That the process lives", "application/json"),
    "/ready": {
      get: {
        ...state("ready", "Whether it works, and why not", "application/json").get,
        responses: {
          "200": jsonResponse("It works"),
          "503": jsonResponse("It does not; `reasons` say why"),
        },
      },
    },
    "/metrics": state("metrics", "What it counts, for Prometheus", "text/plain"),
    "/v1": state("questions", "The questions there are, with their parameters", "application/json"),
  };
  const schemas: Record<string, Json> = { Problem: schemaOf(problemSchema) };
  for (const query of catalogue) {
    const row = `${pascal(query.name)}Row`;
    schemas[row] = schemaOf(query.row);
    paths[`/v1/${query.name}`] = { get: operation(query, `#/components/schemas/${row}`) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: about.name,
      version: about.version,
      summary: "What an archive of Nostr relays and events knows",
      description:
        "Read-only. Lists are paged by opaque cursors in a stable order: ask again with " +
        "`cursor` as `next` gave it. A page can be short, even empty, and go on: only one without " +
        "`next` is the last. A stream that was cut ends in a line that is no row: " +
        '`{"next":"…"}` where a bound was met, `{"problem":…}` where it broke off.',
      license: { name: "MIT", identifier: "MIT" },
    },
    tags: [
      { name: "questions", description: "The archive's answers" },
      { name: "state", description: "The process itself" },
    ],
    paths,
    components: { schemas },
  };
}

function operation(query: Query, row: string): Operation {
  const { name, summary, cost, params, example } = query;
  const own = Object.entries(params.shape).map(([field, schema]) =>
    parameter(field, schema, example[field])
  );
  const common = Object.entries({ ...PAGING_PARAMS.shape, format: formatParam })
    .map(([field, schema]) => parameter(field, schema, example[field]));
  const page = {
    type: "object",
    required: ["rows"],
    properties: {
      rows: { type: "array", items: { $ref: row } },
      next: { type: "string", description: "The cursor of the next page; absent at the end" },
    },
  };
  const problems = Object.entries(PROBLEMS).map(([status, description]) => [status, {
    description,
    headers: { "X-Request-Id": REQUEST_ID },
    content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
  }]);
  return {
    operationId: name,
    tags: ["questions"],
    summary,
    description: `Cost: ${cost}.`,
    parameters: [...own, ...common],
    responses: {
      "200": {
        description: "Rows, in a stable order",
        headers: {
          ...RATE_HEADERS,
          "X-Request-Id": REQUEST_ID,
          Link: {
            schema: { type: "string" },
            description: 'The next page, as rel="next", unless it is long',
          },
          ETag: { schema: { type: "string" }, description: "Of this very answer; not of streams" },
        },
        content: {
          [MEDIA_TYPES.json]: { schema: page },
          [MEDIA_TYPES.ndjson]: { schema: { $ref: row } },
          "text/csv": { schema: { type: "string" } },
        },
      },
      "304": { description: "The answer is still the one whose ETag was given" },
      ...Object.fromEntries(problems),
    },
  };
}

function parameter(name: string, schema: z.core.$ZodType, example: string | undefined): Parameter {
  const shape = paramSchema(schema);
  return {
    name,
    in: "query",
    required: !z.safeParse(schema, undefined).success,
    description: paramInfo(schema).description,
    schema: shape,
    ...(example === undefined ? {} : { example: exampleOf(shape, example) }),
  };
}

/** An example is a text in the catalogue; here it has its parameter's type. */
function exampleOf(schema: ParamSchema, text: string): unknown {
  if (schema.type === "integer") return Number(text);
  if (schema.type !== "array") return text;
  const items = schema.items as ParamSchema;
  return text.split(",").map((item) => exampleOf(items, item));
}

function schemaOf(schema: z.ZodType): Json {
  const { $schema: _dialect, ...json } = z.toJSONSchema(schema, {
    unrepresentable: "any",
    override: ({ jsonSchema }) => {
      // Every JSON integer is one that JavaScript can hold; to say so each time says nothing.
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
    },
  });
  return json;
}

function state(operationId: string, summary: string, type: string): { get: Operation } {
  const schema = { type: type === "application/json" ? "object" : "string" };
  const responses = { "200": { description: summary, content: { [type]: { schema } } } };
  return { get: { operationId, tags: ["state"], summary, responses } };
}

function jsonResponse(description: string): Json {
  return { description, content: { "application/json": { schema: { type: "object" } } } };
}

function header(description: string): Json {
  return { schema: { type: "integer" }, description };
}

function pascal(name: string): string {
  return name.split("_").map((word) => word.slice(0, 1).toUpperCase() + word.slice(1)).join("");
}
