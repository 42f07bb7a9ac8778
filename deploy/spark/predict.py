#!/usr/bin/env python3
"""Labels a data set with Apus on Spark. Every task feeds its rows to an `apus predict` of its own.

    spark-submit deploy/spark/predict.py --input tweets.jsonl --output labelled.jsonl --model roberta-int8

jsonl out: the lines that `apus predict` writes, byte for byte, in the input's order within a part. parquet out: the
input's columns as they were, and label (string), score (float) and scores (map<string, float>).

With --deploy-mode cluster, --py-files brings the other half: --py-files deploy/spark/apus_filter.py.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import deque
from collections.abc import Iterator

import pyarrow as pa
from pyspark import SparkFiles, StorageLevel
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructType

import apus_filter
from apus_filter import ApusFilter, BadLine

# Beside the input's columns while they pass through: the row as a JSON line, which its answer replaces, and why it has none.
LINE = "__apus_line"
REASON = "__apus_reason"

ANSWER = "label string, score float, scores map<string, float>"
ADDED = ("label", "score", "scores")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add("--input", required=True, nargs="+", help="files or folders that Spark can read")
    add("--input-format", choices=("jsonl", "parquet"), help="by default what the first one's name ends with")
    add("--text-field", default="text", help="the field or column that holds the text")
    add("--schema", help="of jsonl for --output-format parquet, as DDL (id long, text string); without it Spark reads twice")
    add("--output", required=True, help="a folder, one part a task")
    add("--output-format", choices=("jsonl", "parquet"), default="jsonl")
    add("--overwrite", action="store_true", help="replace --output and --bad-rows where they exist")
    add("--bad-rows", metavar="FOLDER",
        help="where rows go that apus refuses, as parquet with the reason; without it the first one fails the job")
    add("--most-bad-rows", type=int, default=1000, help="with --bad-rows, of one task; each costs a new process, some 0.1 s")
    add("--apus", default="apus", help="the binary on the workers: a path, a name in PATH, or in what --archives brought")
    add("--model", help="a folder or file on the workers or in what --archives brought, or a name on the Hub")
    add("--precision", choices=("int8", "f32"))
    add("--text-preparation", choices=("tweet", "none"))
    add("--logits", action="store_true", help="adds the logits to jsonl")
    add("--threads", type=int, default=1, help="of each apus process; a task then takes as many cores")
    add("--task-bytes", default="8m",
        help="of input a task: of jsonl some 56,000 tweets, five minutes of an int8 RoBERTa-base; of parquet at least a row "
        "group, however large")
    add("--partitions", type=int,
        help="deal the rows out anew to so many tasks, where files or row groups are too large; gives up their order")
    options = parser.parse_args(arguments)
    if options.threads < 1:
        parser.error("--threads must be 1 or more")
    options.input_format = options.input_format or options.input[0].rstrip("/").rsplit(".", 1)[-1]
    if options.input_format not in ("jsonl", "parquet"):
        parser.error(f"--input {options.input[0]} does not end with jsonl or parquet; say which it is by --input-format. "
                     "Convert what is neither; CSV, too, which Spark's reader takes otherwise than apus predict does")
    if options.schema and (options.input_format, options.output_format) != ("jsonl", "parquet"):
        parser.error("--schema goes with --input-format jsonl and --output-format parquet")
    if options.output_format == "parquet" and options.logits:
        parser.error("--logits goes with --output-format jsonl")
    if options.most_bad_rows < 1:
        parser.error("--most-bad-rows must be 1 or more; leave --bad-rows out where none may be bad")
    if options.bad_rows and options.bad_rows.rstrip("/") == options.output.rstrip("/"):
        parser.error(f"--bad-rows {options.bad_rows} is --output as well; they are two tables, name two folders")
    return options


def main() -> None:
    options = parse()
    spark = session(options)
    print(json.dumps(run(spark, options)))
    spark.stop()


def run(spark: SparkSession, options: argparse.Namespace) -> dict:
    """Writes the tables; returns what there was: rows, bad_rows, seconds."""
    started = time.monotonic()
    for option, folder in (("--output", options.output), ("--bad-rows", options.bad_rows)):
        if folder and not options.overwrite and exists(spark, folder):
            raise SystemExit(f"{option} {folder} already exists; name another folder, or replace it by --overwrite")
    # A task gets one piece of one file, never several: rows that stood together stay together.
    for name in ("maxPartitionBytes", "openCostInBytes"):
        spark.conf.set(f"spark.sql.files.{name}", options.task_bytes)
    frame = rows(spark, options)
    answer = answer_type(spark, options)
    observation = Observation("apus")
    labelled = label(frame, options).observe(
        observation, F.count(F.lit(1)).alias("rows"), F.count(REASON).alias("bad_rows"))
    if options.bad_rows:
        # Two tables out of one pass.
        labelled = labelled.persist(StorageLevel.DISK_ONLY)
    write(labelled, answer, options)
    labelled.unpersist()
    return {**observation.get, "seconds": round(time.monotonic() - started, 1)}


def session(options: argparse.Namespace) -> SparkSession:
    builder = SparkSession.builder.appName("apus predict")
    if options.threads > 1:
        builder = builder.config("spark.task.cpus", options.threads)
    spark = builder.getOrCreate()
    # Where --py-files brought it, Spark refuses another copy from another place.
    if not any(place.endswith("/apus_filter.py") for place in spark.sparkContext.listFiles):
        spark.sparkContext.addPyFile(apus_filter.__file__)
    return spark


def exists(spark: SparkSession, folder: str) -> bool:
    path = spark._jvm.org.apache.hadoop.fs.Path(folder)
    return path.getFileSystem(spark._jsc.hadoopConfiguration()).exists(path)


def rows(spark: SparkSession, options: argparse.Namespace) -> DataFrame:
    """What is to be labelled: a row's columns where they are needed afterwards, and the row as apus reads it."""
    if options.input_format == "jsonl":
        # Bytes, untouched by any JSON reader: apus says what is a row, and sees what is no UTF-8; numbers keep their digits.
        frame = spark.read.text(options.input, lineSep="\n").select(F.col("value").cast("binary").alias(LINE))
    else:
        frame = spark.read.parquet(*options.input)
        check_text_field(frame.columns, options)
        if options.bad_rows and options.output_format == "parquet" and "reason" in map(str.lower, frame.columns):
            raise SystemExit("--input has a column \"reason\", which --bad-rows adds; rename it, or leave --bad-rows out")
        # As `apus predict` has it: a field with the name of one that is written gives way.
        frame = frame.drop(*(name for name in frame.columns if name in ADDED))
        sent = [options.text_field] if options.output_format == "parquet" else frame.columns
        line = F.to_json(F.struct(*map(quoted, sent)), {"ignoreNullFields": "false"}).cast("binary").alias(LINE)
        frame = frame.select("*", line) if options.output_format == "parquet" else frame.select(line)
    return frame.repartition(options.partitions) if options.partitions else frame


def check_text_field(names: list[str], options: argparse.Namespace) -> None:
    if options.text_field not in names:
        raise SystemExit(
            f"--input has no column \"{options.text_field}\"; its columns are {', '.join(names) or 'none'}. "
            "Name the right one by --text-field")


def answer_type(spark: SparkSession, options: argparse.Namespace) -> StructType:
    """An answer as columns of parquet. One to a JSON line repeats its fields, so that no line has to be read twice."""
    added = StructType.fromDDL(ANSWER)
    if options.input_format != "jsonl" or options.output_format != "parquet":
        return added
    if options.schema:
        columns = StructType.fromDDL(options.schema)
    else:
        columns = spark.read.json(options.input, mode="DROPMALFORMED", lineSep="\n").schema
    check_text_field(columns.names, options)
    return StructType([column for column in columns if column.name not in ADDED] + added.fields)


def label(frame: DataFrame, options: argparse.Namespace) -> DataFrame:
    """The same rows; the last column, LINE, is the answer, or as it was beside the REASON why there is none."""
    command = predict_command(options)
    most_bad_lines = options.most_bad_rows if options.bad_rows else 0

    def task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        passing: deque[pa.RecordBatch] = deque()

        def lines() -> Iterator[list[bytes]]:
            for batch in batches:
                passing.append(batch)
                yield batch.columns[-1].to_pylist()

        for answers in ApusFilter(on_this_worker(command), most_bad_lines).answers(lines()):
            batch = passing.popleft()
            *others, given = batch.columns
            pairs = zip(given.to_pylist(), answers, strict=True)
            line = [was if isinstance(answer, BadLine) else answer for was, answer in pairs]
            reason = [answer.reason if isinstance(answer, BadLine) else None for answer in answers]
            yield pa.RecordBatch.from_arrays(
                [*others, pa.array(line, pa.binary()), pa.array(reason, pa.string())], [*batch.schema.names, REASON])

    # mapInArrow takes no names with dots in them.
    plain = frame.toDF(*map(str, range(len(frame.columns))))
    return plain.mapInArrow(task, StructType([*plain.schema]).add(REASON, StringType())).toDF(*frame.columns, REASON)


def predict_command(options: argparse.Namespace) -> list[str]:
    command = [options.apus, "predict", "--input", "-", "--input-format", "jsonl", "--output-format", "jsonl",
               "--text-field", options.text_field, "--threads", str(options.threads)]
    for name in ("model", "precision", "text_preparation"):
        if value := getattr(options, name):
            command += ["--" + name.replace("_", "-"), value]
    return command + (["--logits"] if options.logits else [])


def on_this_worker(command: list[str]) -> list[str]:
    """With the binary's and the model's place among the files that Spark brought to this worker, where they are there."""
    def place(name: str) -> str:
        brought = os.path.join(SparkFiles.getRootDirectory(), name)
        return brought if os.path.exists(brought) else name

    places = {0, *(index + 1 for index, argument in enumerate(command) if argument == "--model")}
    return [place(argument) if index in places else argument for index, argument in enumerate(command)]


def write(labelled: DataFrame, answer: StructType, options: argparse.Namespace) -> None:
    mode = "overwrite" if options.overwrite else "errorifexists"
    good = labelled.where(F.col(REASON).isNull())
    if options.output_format == "jsonl":
        good.select(F.col(LINE).cast("string")).write.mode(mode).text(options.output, lineSep="\n")
    else:
        # A value that --schema has no room for fails the job, where the default would make it null.
        columns = F.from_json(F.col(LINE).cast("string"), answer, {"mode": "FAILFAST"})
        good.withColumn(LINE, columns).select("*", f"{LINE}.*").drop(LINE, REASON).write.mode(mode).parquet(options.output)
    if options.bad_rows:
        bad = labelled.where(F.col(REASON).isNotNull()).withColumnRenamed(REASON, "reason")
        has_columns = options.input_format == options.output_format == "parquet"
        bad = bad.drop(LINE) if has_columns else bad.withColumnRenamed(LINE, "line")
        bad.write.mode(mode).parquet(options.bad_rows)


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


if __name__ == "__main__":
    main()
