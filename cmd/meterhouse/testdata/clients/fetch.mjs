// The fetch of the vendors' samples: node fetch.mjs ORIGIN '[{"path", "init"}]' prints status,
// headers and body of each answer.
const [origin, calls] = [process.argv[2], JSON.parse(process.argv[3])];
const answers = [];
for (const { path, init } of calls) {
  const answer = await fetch(origin + path, init);
  answers.push({
    ok: answer.ok,
    status: answer.status,
    headers: Object.fromEntries(answer.headers),
    body: await answer.text(),
  });
}
console.log(JSON.stringify(answers));
