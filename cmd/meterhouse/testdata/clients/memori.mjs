// Memori's client: node memori.mjs ORIGIN '[{"method", "args"}]' prints one {"value"} or {"error"}
// for each call. A method may be namespaced, as in consumptionLogs.getUserConsumptionLogs.
import pkg from '@memori.ai/memori-api-client';

const memori = pkg.default ?? pkg; // its CommonJS default export, under Node's modules
const [origin, calls] = [process.argv[2], JSON.parse(process.argv[3])];
// The client keeps only the origin of what it is given.
const client = memori(`${origin}/some/path?and=query`);
const answers = [];
for (const { method, args } of calls) {
  const call = method.split('.').reduce((object, name) => object[name], client.backend);
  try {
    answers.push({ value: await call(...args.map((arg) => arg ?? undefined)) });
  } catch (e) {
    answers.push({ error: { class: e.constructor.name, message: e.message } });
  }
}
console.log(JSON.stringify(answers));
