-- A text that changes whenever some tables may answer otherwise for some partitions: each has the
-- ids of its partitions from one to another. Inserts raise a partition's last block, mutations are
-- counted down part by part and then raise its version, and a partition that is dropped is missing.
-- A merge changes none of it: a part that was never mutated has its first block for its version.
SELECT
    hex(sipHash128(
        arraySort(groupArray((table, partition_id, last_block, last_mutation))),
        (
            SELECT arraySort(groupArray((table, mutation_id, parts_to_do)))
            FROM system.mutations
            WHERE database = currentDatabase()
              AND table IN {tables:Array(String)}
              AND NOT is_done
        )
    )) AS version
FROM
(
    SELECT
        table,
        partition_id,
        max(max_block_number) AS last_block,
        max(if(data_version = min_block_number, 0, data_version)) AS last_mutation
    FROM system.parts
    WHERE database = currentDatabase()
      AND active
      AND table IN {tables:Array(String)}
      AND partition_id >= {first:Array(String)}[indexOf({tables:Array(String)}, table)]
      AND partition_id <= {last:Array(String)}[indexOf({tables:Array(String)}, table)]
    GROUP BY
        table,
        partition_id
)
