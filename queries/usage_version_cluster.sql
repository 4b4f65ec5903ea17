-- usage_version on a cluster: of each shard, as the replica says that is asked first. Blocks are
-- counted by shard.
SELECT
    hex(sipHash128(
        arraySort(groupArray((shard, name, partition_id, last_block, last_mutation))),
        (
            SELECT arraySort(groupArray((shardNum(), table, mutation_id, parts_to_do)))
            FROM cluster({cluster:String}, system.mutations)
            WHERE database = {database:String}
              AND replaceRegexpOne(table, '_local$', '') IN {tables:Array(String)}
              AND NOT is_done
        )
    )) AS version
FROM
(
    SELECT
        shardNum() AS shard,
        replaceRegexpOne(table, '_local$', '') AS name,
        partition_id,
        max(max_block_number) AS last_block,
        max(if(data_version = min_block_number, 0, data_version)) AS last_mutation
    FROM cluster({cluster:String}, system.parts)
    WHERE database = {database:String}
      AND active
      AND name IN {tables:Array(String)}
      AND partition_id >= {first:Array(String)}[indexOf({tables:Array(String)}, name)]
      AND partition_id <= {last:Array(String)}[indexOf({tables:Array(String)}, name)]
    GROUP BY
        shard,
        name,
        partition_id
)
