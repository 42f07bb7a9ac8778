#!/usr/bin/env python3
"""Labels a data set with Apus on Spark. Every task feeds its rows to an `apus predict` of its own.

    spark-submit deploy/spark/predict.py --input tweets.jsonl --output labelled.jsonl --model roberta-int8

jsonl out: the lines that `apus predict` writes, byte for byte, in the input's order within a part. parquet out: the
input's columns as they were, and label (string), score (float) and scores (map<string, float>).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from pyspark import SparkFiles, StorageLevel
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructType

sys.path.insert(0, str(Path(__file__).resolve().parent))
from apus_filter import ApusFilter, BadLine  # noqa: E402

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
    add("--input-format", choices=("jsonl", "csv", "parquet"), help="by default what the first one's name ends with")
    add("--text-field", default="text", help="the field or column that holds the text")
    add("--schema", help="of jsonl for --output-format parquet, as DDL (id long, text string); without one Spark reads twice")
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
    add("--task-bytes", default="8m", help="of input a task: some 56,000 tweets, five minutes of an int8 RoBERTa-base")
    add("--partitions", type=int,
        help="deal the rows out anew to so many tasks, where files cannot be split; gives up their order")
    options = parser.parse_args(arguments)
    if options.threads < 1:
        parser.error("--threads must be 1 or more")
    options.input_format = options.input_format or options.input[0].rstrip("/").rsplit(".", 1)[-1]
    if options.input_format not in ("jsonl", "csv", "parquet"):
        parser.error(f"--input {options.input[0]} does not end with jsonl, csv or parquet; say which by --input-format")
    if options.output_format == "parquet" and options.logits:
        parser.error("--logits goes with --output-format jsonl")
    if options.most_bad_rows < 1:
        parser.error("--most-bad-rows must be 1 or more; leave --bad-rows out where none may be bad")
    return options


def main() -> None:
    options = parse()
    spark = session(options)
    print(json.dumps(run(spark, options)))
    spark.stop()


def run(spark: SparkSession, options: argparse.Namespace) -> dict:
    """Writes the tables; returns what there was: rows, bad_rows, seconds."""
    started = time.monotonic()
    # A task gets one piece of one file, never several: rows that stood together stay together.
    for name in ("maxPartitionBytes", "openCostInBytes"):
        spark.conf.set(f"spark.sql.files.{name}", options.task_bytes)
    observation = Observation("apus")
    labelled = label(rows(spark, options), options).observe(
        observation, F.count(F.lit(1)).alias("rows"), F.count(REASON).alias("bad_rows"))
    if options.bad_rows:
        # Two tables out of one pass.
        labelled = labelled.persist(StorageLevel.DISK_ONLY)
    write(labelled, options)
    labelled.unpersist()
    return {**observation.get, "seconds": round(time.monotonic() - started, 1)}


def session(options: argparse.Namespace) -> SparkSession:
    builder = SparkSession.builder.appName("apus predict")
    if options.threads > 1:
        builder = builder.config("spark.task.cpus", options.threads)
    spark = builder.getOrCreate()
    spark.sparkContext.addPyFile(str(Path(__file__).resolve().with_name("apus_filter.py")))
    return spark


def rows(spark: SparkSession, options: argparse.Namespace) -> DataFrame:
    """What is to be labelled: a row's columns where they are needed afterwards, and the row as apus reads it."""
    if options.output_format == "jsonl" and options.input_format == "jsonl":
        # Bytes, untouched by any JSON reader: numbers keep their digits, and what is no UTF-8 is seen to be none.
        lines = spark.read.text(options.input, lineSep="\n")
        frame = lines.select(F.col("value").cast("binary").alias(LINE))
    else:
        frame = read(spark, options)
        sent = [options.text_field] if options.output_format == "parquet" else frame.columns
        line = F.to_json(F.struct(*map(quoted, sent)), {"ignoreNullFields": "false"}).cast("binary").alias(LINE)
        frame = frame.select("*", line) if options.output_format == "parquet" else frame.select(line)
    return frame.repartition(options.partitions) if options.partitions else frame


def read(spark: SparkSession, options: argparse.Namespace) -> DataFrame:
    reader = spark.read.schema(options.schema) if options.schema else spark.read
    if options.input_format == "parquet":
        frame = reader.parquet(*options.input)
    elif options.input_format == "jsonl":
        frame = reader.json(options.input)
    else:
        frame = reader.csv(options.input, header=True, quote='"', escape='"')
    if options.text_field not in frame.columns:
        raise SystemExit(
            f"--input has no column \"{options.text_field}\"; its columns are {', '.join(frame.columns)}. "
            "Name the right one by --text-field")
    # As `apus predict` has it: a field with the name of one that is written gives way.
    return frame.drop(*(name for name in frame.columns if name in ADDED))


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


def write(labelled: DataFrame, options: argparse.Namespace) -> None:
    mode = "overwrite" if options.overwrite else "errorifexists"
    good = labelled.where(F.col(REASON).isNull())
    if options.output_format == "jsonl":
        good.select(F.col(LINE).cast("string")).write.mode(mode).text(options.output, lineSep="\n")
    else:
        answer = F.from_json(F.col(LINE).cast("string"), ANSWER)
        good.withColumn(LINE, answer).select("*", f"{LINE}.*").drop(LINE, REASON).write.mode(mode).parquet(options.output)
    if options.bad_rows:
        bad = labelled.where(F.col(REASON).isNotNull()).withColumnRenamed(REASON, "reason")
        bad = bad.withColumnRenamed(LINE, "line") if options.output_format == "jsonl" else bad.drop(LINE)
        bad.write.mode(mode).parquet(options.bad_rows)


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


if __name__ == "__main__":
    main()
