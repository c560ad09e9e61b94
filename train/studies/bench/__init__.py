"""Benchmarks of training steps and of decoding."""

LINE = (
    *("perceptron", "mlp", "lenet5", "alexnet_cifar", "resnet20", "resnet18", "vit_mini_patch4"),
    *("lstm_char", "seq2seq_mini", "seq2seq_attention_mini", "transformer_mini", "bert_mini", "gpt_char_mini"),
)
"""What `zoo bench` measures by default."""

FAMILIES = (
    *("perceptron", "mlp", "lecun1989", "lenet5", "alexnet_cifar", "vgg_mini", "resnet20", "vit_mini_patch4"),
    *("gan", "dcgan_28", "simclr_resnet20", "dqn_mlp", "lstm_char", "seq2seq_mini", "seq2seq_attention_mini"),
    *("transformer_mini", "bert_mini", "gpt_char_mini", "unet_mini", "fcn_mini"),
)
"""What `zoo bench --peers` measures by default: a small model of each family."""
BATCHES = (32, 128)
"""The batches of `zoo bench --peers`."""
